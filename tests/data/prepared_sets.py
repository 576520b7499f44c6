"""Phantoms of film and of digital detectors as manifests of DICOM files, without a reader."""

from __future__ import annotations

import json
from pathlib import Path

from mammo_monai.phantoms import LAYOUTS, write_phantoms
from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.schema import Manifest, write_manifest

FILM, DIGITAL = LAYOUTS
SPACING_MM = 0.7


def phantom_records(root: Path, layout: str, patients: int = 2) -> list[ImageRecord]:
    """Records of phantoms; laterality and spacing of some are left to the files."""
    write_phantoms(root, layout=layout, patients=patients, seed=3, pixel_spacing_mm=SPACING_MM)
    images = json.loads((root / "truth.json").read_text())["images"]
    return [
        ImageRecord(
            image=root / image["image"],
            record_id=f"{number:016x}",
            patient_id=image["patient_id"],
            width=image["columns"],
            height=image["rows"],
            lesions=tuple(Lesion(box=tuple(mass["contour_box"])) for mass in image["masses"]),
            laterality=Laterality(image["laterality"]) if number % 2 else None,
            view_position=ViewPosition(image["view_position"]) if number % 3 else None,
            pixel_spacing_mm=(SPACING_MM, SPACING_MM) if number % 2 else None,
        )
        for number, image in enumerate(images)
    ]


def phantom_manifest(folder: Path, layout: str, patients: int = 2) -> Path:
    """A manifest of phantoms: the first two thirds for training, the rest for validation."""
    records = phantom_records(folder / "images", layout, patients)
    cut = max(1, 2 * len(records) // 3)
    path = folder / "manifest.json"
    write_manifest(path, Manifest(training=tuple(records[:cut]), validation=tuple(records[cut:])))
    return path
