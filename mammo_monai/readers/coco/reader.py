"""Reads a COCO JSON of boxes and its folder of images: PNG, JPG, TIFF, BMP or DICOM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mammo_monai.readers.annotations.annotated import AnnotatedImage
from mammo_monai.readers.annotations.coco import annotated_image
from mammo_monai.readers.annotations.identity import compiled_pattern, ml_as_mlo, with_patients
from mammo_monai.readers.annotations.image_records import ImageItem, RecordMaker
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.annotations.names import plain_path, spellings
from mammo_monai.readers.annotations.same_patient import joined_patients
from mammo_monai.readers.annotations.splits import official_split, split_of
from mammo_monai.readers.annotations.without_lesion import note_suspicious_normals
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.coco.file import CocoFile, read_coco_file
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.readers.repeated import drop_repeated_records

_LONGEST_SHOWN = 120


@dataclass(frozen=True)
class CocoOptions:
    """How to read what COCO leaves open.

    Attributes:
        images: the folder that the images' `file_name` is relative to; None: the JSON's own.
        name_pattern: regular expression searched in the `file_name` without its suffix; its groups
            `patient`, `laterality` and `view` fill what the JSON's image fields do not say.
        category: the category of masses, label 0, in any case, singular or plural; "mass" always is one.
        classes: what other categories mean, as types of `LESION_LABELS`, or `ignore`.
        clip_boxes: cut boxes at the image border; without it a box more than 1 px outside is a fault.
        patients_are_public: keeps the ids of patients, a public data set's own pseudonyms, so that folds are
            dealt alike everywhere; else they become salted hashes.
    """

    images: Path | None = None
    name_pattern: str | None = None
    category: str = "mass"
    classes: Mapping[str, str] = field(default_factory=dict)
    clip_boxes: bool = False
    patients_are_public: bool = False


def read_coco(json_path: Path, reading: Reading, options: CocoOptions = CocoOptions()) -> DataSet:
    """The images of a COCO JSON; those without an annotation are normal.

    Patient, laterality and view come from the image's fields (patient_id, laterality, view_position or
    view), else from `name_pattern`, else from the DICOM header. Where ML occurs and MLO does not, ML is
    read as MLO: some sets name that view so. Record ids stand for SOPInstanceUIDs, else for `file_name`.
    A field `split` of the images makes the official split.

    Args:
        json_path: `images`, `annotations` (bbox x, y, width, height) and `categories`.

    Raises:
        ManifestError: not such a JSON, a bad pattern, no category of masses, or (strict) images with faults.
    """
    maker = RecordMaker(
        salt=reading.salt,
        types=LesionTypes(options.category, options.classes),
        pattern=compiled_pattern(options.name_pattern),
        clip=options.clip_boxes,
    )
    coco = read_coco_file(Path(json_path), reading.audit)
    folder = Path(options.images or Path(json_path).parent)
    items = _items(coco, folder)
    records = ml_as_mlo(reading.images(maker.read, items), reading.audit)
    records = joined_patients(records, maker.told, reading.audit)
    records = drop_repeated_records(records, reading.audit)
    has_masses = any(record.has_mass for record in records)
    maker.types.check(reading.audit, str(json_path), has_masses=has_masses)
    salt = None if options.patients_are_public else reading.salt
    records = with_patients(records, reading.audit, salt)
    note_suspicious_normals(records, maker.malignant, reading.audit)
    words = {item.path.absolute(): item.fields.get("split", "") for item in items}
    splits = {record.record_id: split_of(words[record.image]) for record in records}
    return DataSet(tuple(records), official_split(splits))


def _items(coco: CocoFile, folder: Path) -> list[ImageItem]:
    """The images; one that lies flat, without the folders of its name, must be the only one it can be."""
    annotated = [annotated_image(coco, row) for row in range(len(coco.images))]
    names = [plain_path(next(iter(each.names), "")) for each in annotated]
    listed = Counter(_flat(name) for name in dict.fromkeys(names))
    found = []
    for row, (each, name) in enumerate(zip(annotated, names, strict=True)):
        flat = _flat(name)
        own = next(iter(each.names), "").replace("\\", "/")  # a disk may hold accents taken apart
        places = dict.fromkeys((own, *spellings(name), *((flat,) if listed[flat] == 1 else ())))
        path = next((folder / place for place in places if _is_file(folder / place)), None)
        found.append(_item(coco, row, each, name, path or folder / _shown(name)))
    return found


def _flat(name: str) -> str:
    return PurePosixPath(spellings(name)[-1]).name


def _shown(name: str) -> str:
    """A name for the list of what was left out, where no file could ever have it."""
    return name.replace("\0", " ")[-_LONGEST_SHOWN:]


def _is_file(path: Path) -> bool:
    """No error where a name is longer than names can be, or holds what none can hold."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _item(coco: CocoFile, row: int, annotated: AnnotatedImage, name: str, path: Path) -> ImageItem:
    fault = None
    if not (name and _is_file(path)):
        found = "the image file is missing" if name else "the image has no file_name"
        remedy = f"Looked for it as {path}." if name else ""
        fault = InvalidRecordError("image-missing", annotated.where, found, remedy)
    return ImageItem(
        path=path,
        name=name,
        where=annotated.where,
        source=f"COCO {coco.path.name}, images row {row}",
        annotated=(annotated,),
        fault=fault,
    )
