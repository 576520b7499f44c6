"""Reads a COCO JSON of boxes and its folder of images: PNG, JPG, TIFF or DICOM."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Action, Audit, InvalidRecordError, drop_repeated_records
from mammo_monai.readers.categories import LATERALITIES, VIEWS, birads_category, density_category
from mammo_monai.readers.coco_boxes import lesion_of
from mammo_monai.readers.coco_file import CocoFile, read_coco_file
from mammo_monai.readers.image_header import ImageHeader, read_image_header
from mammo_monai.records import ImageRecord, Laterality, ViewPosition, record_id_of

logger = logging.getLogger(__name__)

NAME_GROUPS = ("patient", "laterality", "view")


@dataclass(frozen=True)
class CocoOptions:
    """How to read what COCO leaves open.

    Attributes:
        name_pattern: regular expression searched in the file name without its suffix; its groups `patient`,
            `laterality` and `view` fill what the JSON's image fields do not say.
        category: the category that becomes label 0; the others follow from 1 in file order.
        clip_boxes: cut boxes at the image border; without it a box more than 1 px outside is a fault.
    """

    name_pattern: str | None = None
    category: str = "mass"
    clip_boxes: bool = False


def read_coco(
    json_path: Path,
    *,
    images: Path,
    salt: str,
    options: CocoOptions = CocoOptions(),
    audit: Audit | None = None,
) -> list[ImageRecord]:
    """The images of a COCO JSON; those without an annotation are normal.

    Patient, laterality and view come from the image's fields (patient_id, laterality, view_position or
    view), else from `name_pattern`, else from the DICOM header. Where ML occurs and MLO does not, ML is
    read as MLO: some sets name that view so.

    Args:
        json_path: `images`, `annotations` (bbox x, y, width, height) and `categories`.
        images: the folder that the images' `file_name` is relative to.
        salt: of the record ids, which stand for SOPInstanceUIDs, else for the `file_name`.
        options: the pattern of file names, the category of masses, clipping.
        audit: collects findings and decides what a fault does; None raises on any.

    Raises:
        ManifestError: not such a JSON, a bad pattern, or images with faults.
    """
    audit = audit or Audit()
    pattern = _compiled(options.name_pattern)
    coco = read_coco_file(Path(json_path), options.category, audit)
    reader = _CocoImages(coco, Path(images), salt, options, pattern, audit)
    found = [reader.read(row) for row in range(len(coco.images))]
    records = _ml_as_mlo([record for record in found if record is not None], audit)
    records = drop_repeated_records(records, audit)
    audit.finish()
    return _with_patients(records, audit)


@dataclass(frozen=True)
class _CocoImages:
    """What it takes to read one image after the other."""

    coco: CocoFile
    folder: Path
    salt: str
    options: CocoOptions
    pattern: re.Pattern[str] | None
    audit: Audit

    def read(self, row: int) -> ImageRecord | None:
        item = self.coco.images[row]
        name = str(item.get("file_name") or "")
        where = f"{self.coco.path}, images row {row} ({name or 'no file_name'})"
        with self.audit.image(record_id_of(name, self.salt), where) as guard:
            path = self._file(name, where)
            header = read_image_header(path)
            guard.record_id = record_id_of(header.sop_instance_uid or name, self.salt)
            _check_size(item, header, where)
            known = _known(item, header, self._groups(name, where))
            birads, density = _grades(item, where)
            lesions = tuple(
                lesion_of(annotation, header, where, clip=self.options.clip_boxes, image_birads=birads)
                for annotation in self.coco.annotations.get(item["id"], ())
            )
            return ImageRecord(
                image=path.absolute(),
                record_id=guard.record_id,
                patient_id=known.get("patient", ""),
                width=header.width,
                height=header.height,
                lesions=lesions,
                laterality=_laterality(known, where),
                view_position=self._view(known, guard.record_id),
                pixel_spacing_mm=header.pixel_spacing_mm,
                breast_density=density,
                source=f"COCO {self.coco.path.name}, images row {row}",
            )
        return None

    def _file(self, name: str, where: str) -> Path:
        if not name:
            raise InvalidRecordError("image-missing", where, "the image has no file_name")
        for path in (self.folder / name, self.folder / Path(name).name):
            if path.is_file():
                return path
        raise InvalidRecordError(
            "image-missing", where, "the image file is missing", f"Looked for it in {self.folder}."
        )

    def _groups(self, name: str, where: str) -> Mapping[str, str]:
        """The named parts of the file name; empty without a pattern."""
        if self.pattern is None:
            return {}
        match = self.pattern.search(Path(name).stem)
        if match is None:
            found = "the file name does not match the name pattern"
            raise InvalidRecordError("name-unmatched", where, found, f"Expected {self.pattern.pattern!r}.")
        return {group: text for group, text in match.groupdict().items() if text}

    def _view(self, known: Mapping[str, str], record_id: str) -> ViewPosition | None:
        text = known.get("view", "")
        if text and text.upper() not in VIEWS:
            self.audit.note("view-unknown", record_id, f"view {text!r} is none of {', '.join(VIEWS)}: OTHER")
        return VIEWS.get(text.upper(), ViewPosition.OTHER) if text else None


def _compiled(name_pattern: str | None) -> re.Pattern[str] | None:
    if name_pattern is None:
        return None
    try:
        pattern = re.compile(name_pattern)
    except re.error as error:
        raise ManifestError(f"name pattern {name_pattern!r} is no regular expression: {error}.") from error
    if not set(pattern.groupindex) & set(NAME_GROUPS):
        raise ManifestError(
            f"name pattern {name_pattern!r} must name at least one group of {', '.join(NAME_GROUPS)}, "
            r"as in (?P<patient>\d+)_(?P<laterality>LEFT|RIGHT)_(?P<view>CC|MLO)."
        )
    return pattern


def _known(item: Mapping[str, Any], header: ImageHeader, groups: Mapping[str, str]) -> dict[str, str]:
    """Patient, laterality and view as text: from the JSON, else the file name, else the DICOM header."""
    in_json = {
        "patient": item.get("patient_id"),
        "laterality": item.get("laterality"),
        "view": item.get("view_position") or item.get("view"),
    }
    in_header = {
        "patient": header.patient_id,
        "laterality": header.laterality.value if header.laterality else None,
        "view": header.view_position.value if header.view_position else None,
    }
    known: dict[str, str] = {}
    for source in (in_header, groups, in_json):
        known.update({name: str(value).strip() for name, value in source.items() if value not in (None, "")})
    return known


def _laterality(known: Mapping[str, str], where: str) -> Laterality | None:
    text = known.get("laterality", "")
    if text and text.upper() not in LATERALITIES:
        found = f"laterality must be {', '.join(LATERALITIES)}, got {text!r}"
        raise InvalidRecordError("laterality-unknown", where, found)
    return LATERALITIES[text.upper()] if text else None


def _grades(item: Mapping[str, Any], where: str) -> tuple[int | None, int | None]:
    """BI-RADS assessment and density of the image."""
    density = next((item[name] for name in ("breast_density", "acr") if item.get(name) is not None), "")
    birads = item.get("birads")
    try:
        return birads_category("" if birads is None else str(birads)), density_category(str(density))
    except ValueError as error:
        raise InvalidRecordError("grade-unknown", where, str(error)) from None


def _check_size(item: Mapping[str, Any], header: ImageHeader, where: str) -> None:
    stated = tuple(
        item.get(name, actual) for name, actual in (("width", header.width), ("height", header.height))
    )
    if stated != (header.width, header.height):
        found = (
            f"the JSON says {stated[0]} × {stated[1]} px, the file has {header.width} × {header.height} px"
        )
        remedy = "The boxes may belong to another size of the image: export both again."
        raise InvalidRecordError("size-differs", where, found, remedy)


def _ml_as_mlo(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    views = [record.view_position for record in records]
    if ViewPosition.ML not in views or ViewPosition.MLO in views:
        return list(records)
    found = f"{views.count(ViewPosition.ML)} images are called ML and none MLO: read as MLO"
    audit.note("view-ml-for-mlo", "", found, Action.REPAIRED)
    logger.info(found)
    return [
        dataclasses.replace(record, view_position=ViewPosition.MLO)
        if record.view_position is ViewPosition.ML
        else record
        for record in records
    ]


def _with_patients(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """Every record with a patient; an unknown one is a patient of its own, which is said aloud."""
    unknown = sum(not record.patient_id for record in records)
    remedy = "a split may put one patient on two sides. Give patient_id in the JSON, or --name-pattern"
    if unknown:
        found = f"{unknown} of {len(records)} images have no patient and count as a patient each: {remedy}"
        audit.note("patient-unknown", "", found)
    elif 1 < len(records) == len({record.patient_id for record in records}):
        found = f"each of the {len(records)} images has another patient; unless that is so, {remedy}"
        audit.note("patient-per-image", "", found)
    return [
        record if record.patient_id else dataclasses.replace(record, patient_id=f"image-{record.record_id}")
        for record in records
    ]
