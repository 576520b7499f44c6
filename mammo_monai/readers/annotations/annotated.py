"""What annotation files say of one image, before the image itself has been looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import ImageHeader
from mammo_monai.records import Lesion
from mammo_monai.schema import Action
from mammo_monai.words import counted


@dataclass(frozen=True)
class Target:
    """The image that annotations are read for.

    Attributes:
        path: of the image file. header: its size in pixels and what else it says.
        audit: for findings that let the image stay.
        clip: cut boxes at the border however far they reach out.
    """

    path: Path
    header: ImageHeader
    record_id: str
    types: LesionTypes
    audit: Audit
    clip: bool = False


LesionsOf = Callable[[Target], Sequence[Lesion]]
"""Reads the lesions of an image, in original pixels; an InvalidRecordError quarantines the image."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One image as annotations know it.

    Attributes:
        names: the image's relative path, file name, either without its suffix, or SOPInstanceUID; the
            first that leads to an image counts.
        where: file and row, for messages.
        lesions: reads and checks them once the image is known.
        fields: text by `patient`, `laterality`, `view`, `split`, `birads`, `density`, `pathology`; left out
            where unknown.
        place: a table's own name and row, for audit.csv; no name of an image stands in it.
        uid: the SOPInstanceUID it says its image has, "" where it says none.
        is_part: further annotations of the same image join this one; else they contradict it.
        is_agreed: all of its names must lead to one image; else the first that leads to any counts.
        fault: why it cannot be read.
    """

    names: tuple[str, ...]
    where: str
    lesions: LesionsOf
    fields: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    uid: str = ""
    is_part: bool = False
    is_agreed: bool = False
    fault: InvalidRecordError | None = None


def fault_of(names: tuple[str, ...], error: InvalidRecordError, where: str) -> AnnotatedImage:
    """An annotation that cannot be read: its image is quarantined when it is met."""

    def fail(target: Target) -> Sequence[Lesion]:
        raise error

    return AnnotatedImage(names, where, fail, is_part=True, fault=error)


def name_below(path: Path, base: Path) -> str:
    """The relative path of a file, without the suffix of an annotation, as the name of its image.

    >>> name_below(Path("a/labels/p1/left.nii.gz"), Path("a"))
    'labels/p1/left'
    """
    relative = PurePosixPath(path.relative_to(base).as_posix())
    return str(relative.with_name(bare_name(relative.name)))


ANNOTATION_SUFFIXES = (".nii.gz", ".mrk.json", ".seg.nrrd", ".nii", ".nrrd", ".json", ".xml", ".txt", ".csv")
IMAGE_SUFFIXES = (".dicom", ".dcm", ".ima", ".png", ".jpeg", ".jpg", ".tiff", ".tif", ".bmp")


def bare_name(name: str) -> str:
    """A file name without a suffix that is known as one: UIDs end in `.123` too.

    >>> bare_name("1.2.840.1"), bare_name("left.PNG"), bare_name("1.2.3.dcm"), bare_name("a.png.txt")
    ('1.2.840.1', 'left', '1.2.3', 'a')
    """
    for suffixes in (ANNOTATION_SUFFIXES, IMAGE_SUFFIXES):
        for suffix in suffixes:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                name = name[: -len(suffix)]
                break
    return name


def note_scores(scores: Sequence[object], target: Target, place: str) -> None:
    """Notes boxes with a score such as 0.87: a model's marks would be taken for the truth."""
    n_marks = sum(isinstance(score, float) and not score.is_integer() for score in scores)
    if n_marks:
        found = f"{n_marks} of {counted(len(scores), 'row')} give a score, as a model's marks do"
        target.audit.note("marks-scored", target.record_id, found, place=place)


def without_repeats(lesions: Sequence[Lesion], target: Target) -> list[Lesion]:
    """The lesions without those that repeat another's box and type; repeats are noted as repaired."""
    first = {(lesion.box, lesion.type): lesion for lesion in reversed(lesions)}
    kept = [lesion for lesion in lesions if first[(lesion.box, lesion.type)] is lesion]
    if len(kept) < len(lesions):
        found = f"{len(lesions) - len(kept)} of {len(lesions)} boxes repeat another one; each counts once"
        target.audit.note("lesion-repeated", target.record_id, found, Action.REPAIRED)
    return kept
