"""A data set on disk: six small PNG films in a manifest, some with lesions, some without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.schema import Manifest, write_manifest
from tests.transforms.films import HEIGHT, INSIDE, WIDTH, film_pixels

SECOND = (22.0, 72.0, 50.0, 112.0)  # overlaps INSIDE: IoU about 0.85


def make_record(folder: Path, number: int, lesions: int) -> ImageRecord:
    boxes = [INSIDE, SECOND][:lesions]
    is_right = number % 2 == 1
    truth = [(WIDTH - b[2], b[1], WIDTH - b[0], b[3]) if is_right else b for b in boxes]
    path = folder / f"film{number}.png"
    # Each film has its own brightness, so that a sample tells which image it came from.
    pixels = film_pixels(truth, is_right=is_right) * (0.7 + 0.05 * number)
    Image.fromarray((pixels * 255).astype(np.uint8)).save(path)
    return ImageRecord(
        image=path,
        record_id=f"{number:016x}",
        patient_id=f"P{number // 2}",
        width=WIDTH,
        height=HEIGHT,
        lesions=tuple(Lesion(box=(float(b[0]), float(b[1]), float(b[2]), float(b[3]))) for b in truth),
        laterality=Laterality.RIGHT if is_right else Laterality.LEFT,
        view_position=ViewPosition.CC if number < 3 else ViewPosition.MLO,
        pixel_spacing_mm=(0.2, 0.2),
    )


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Training: films 0 (two lesions), 1 (one), 2 and 3 (none); test: 4 (one), 5 (none); no validation."""
    folder = tmp_path / "films"
    folder.mkdir()
    films = [make_record(folder, number, lesions) for number, lesions in enumerate([2, 1, 0, 0, 1, 0])]
    path = tmp_path / "manifest.json"
    write_manifest(path, Manifest(training=tuple(films[:4]), test=tuple(films[4:])))
    return path
