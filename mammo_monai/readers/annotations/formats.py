"""The annotation formats by name, and which of them a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Literal

from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.annotated import AnnotatedImage, bare_name
from mammo_monai.readers.annotations.coco import read_coco_json
from mammo_monai.readers.annotations.csv_boxes import is_table, read_csv
from mammo_monai.readers.annotations.dicom_seg import is_segmentation, read_dicom_seg
from mammo_monai.readers.annotations.monai_label import is_monai_label, read_monai_label
from mammo_monai.readers.annotations.nifti import is_nifti, read_nifti
from mammo_monai.readers.annotations.other_programs import refuse_other_programs
from mammo_monai.readers.annotations.png import is_mask, is_picture, read_png
from mammo_monai.readers.annotations.slicer import is_slicer, read_slicer
from mammo_monai.readers.annotations.voc import is_voc, read_voc
from mammo_monai.readers.annotations.yolo import is_yolo, read_yolo
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.image_header import DICOM_SUFFIXES
from mammo_monai.schema.json_text import json_value

FormatName = Literal[
    "auto", "coco", "csv", "voc", "yolo", "nifti", "png", "dicom-seg", "slicer", "monai-label"
]
SNIFFED_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """One way to write annotations.

    Attributes:
        is_one: whether a file is such an annotation, by name or content.
        read: the annotations of files, whose names are relative to a folder.
        numbers_are_classes: numbers without names tell classes apart, rather than lesions.
        absent_is_normal: an image without annotation is normal unless somebody says otherwise.
    """

    is_one: Callable[[Path], bool]
    read: Callable[[Sequence[Path], Path, Audit], list[AnnotatedImage]]
    numbers_are_classes: bool = True
    absent_is_normal: bool = True


def _is_coco(path: Path) -> bool:
    """JSON with COCO's lists named among its first bytes, or as a whole."""
    if path.suffix.lower() != ".json" or is_slicer(path) or is_monai_label(path):
        return False
    try:
        with path.open("rb") as stream:
            start = stream.read(SNIFFED_BYTES)
        if b'"images"' in start or b'"annotations"' in start:
            return True
        content = json_value(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "images" in content


def _is_segmentation(path: Path) -> bool:
    try:
        return (path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path)) and is_segmentation(path)
    except OSError:
        return False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "monai-label": Format(is_monai_label, read_monai_label, absent_is_normal=False),
        "slicer": Format(is_slicer, read_slicer, absent_is_normal=False),
        "coco": Format(_is_coco, read_coco_json),
        "csv": Format(is_table, read_csv),
        "voc": Format(is_voc, read_voc),
        "yolo": Format(is_yolo, read_yolo),
        "nifti": Format(is_nifti, read_nifti, numbers_are_classes=False),
        "png": Format(is_picture, read_png, numbers_are_classes=False),
        "dicom-seg": Format(_is_segmentation, read_dicom_seg),
    }
)
"""By name."""
# Formats in JSON, CSV, XML, which other programs write too.
_SHARED = ("coco", "csv", "voc")
_LIKELY: Mapping[str, str] = MappingProxyType({".csv": "csv", ".tsv": "csv", ".json": "coco"})


@dataclass(frozen=True)
class Place:
    """Where annotations were looked for.

    Attributes:
        base: names of annotation files are relative to it. files: all files there.
        image_stems: names of the images without suffixes, lower case, where annotations lie among them: a
            text is YOLO's only if an image has its name, and a picture a mask only if its name says so.
            None where the place holds annotations only.
    """

    base: Path
    files: Sequence[Path]
    image_stems: frozenset[str] | None = None

    def holds(self, name: str) -> list[Path]:
        """The files that are annotations of this format."""
        return [path for path in self.files if FORMATS[name].is_one(path) and self._is_meant(name, path)]

    def _is_meant(self, name: str, path: Path) -> bool:
        if self.image_stems is None:
            return True
        if name == "yolo":
            return bare_name(path.name).casefold() in self.image_stems
        return name != "png" or is_mask(PurePosixPath(path.relative_to(self.base).as_posix()))


def find_annotations(place: Place, name: FormatName) -> tuple[str, list[Path]]:
    """The format of the annotations at a place, and the files that are in it.

    Args:
        name: "auto" looks at the files; DICOM headers are read for it only where nothing else is found.

    Raises:
        ManifestError: none found, several formats, or files of a program whose files are not read.
    """
    if name != "auto":
        found = [*place.files] if len(place.files) == 1 and place.image_stems is None else place.holds(name)
        if not found or name in _SHARED:
            refuse_other_programs(found or place.files)
        if not found:
            raise ManifestError(f"{place.base}: expected annotations in the format {name}, found none.")
        return name, found
    by_format: dict[str, list[Path]] = {}
    for each in FORMATS:
        is_last_resort = each == "dicom-seg"
        if not (is_last_resort and by_format) and (found := place.holds(each)):
            by_format[each] = found
    if "monai-label" in by_format:  # its folder holds files of the other formats
        return "monai-label", by_format["monai-label"]
    if len(by_format) > 1:
        counts = ", ".join(f"{each} ({len(found)} files)" for each, found in by_format.items())
        raise ManifestError(
            f"{place.base}: expected annotations in one format, found {counts}. Say which with --format, or "
            "name their folder or file with --annotations."
        )
    for each, found in by_format.items():
        if each in _SHARED:
            refuse_other_programs(found)
        return each, found
    refuse_other_programs(place.files, by_suffix=True)
    likely = [path for path in place.files if path.suffix.lower() in _LIKELY]
    if len(likely) == 1:
        return _LIKELY[likely[0].suffix.lower()], likely  # whose reader says what is missing
    raise ManifestError(
        f"{place.base}: expected annotations ({', '.join(FORMATS)}), found none: all images would seem "
        "normal. Name their folder or file with --annotations."
    )
