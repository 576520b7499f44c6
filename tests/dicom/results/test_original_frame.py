"""Through a real preset and back: after crop, mirroring and resizing a result marks the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.data import MammogramDataset, load_samples
from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result, read_marks
from mammo_monai.inference import FullImageInferer, detections_in_original
from mammo_monai.records import Detections
from mammo_monai.transforms import inference_transforms
from tests.dicom.results.sources import digital_mammogram
from tests.inference.fakes import RectangleDetector
from tests.transforms.films import HEIGHT, WIDTH, film_pixels

MODEL = ModelIdentity("rectangles", "1", None, "", 0.5)
# On the right film, at its right side: mirroring moves it across.
LESION = (75, 70, 101, 110)


@pytest.fixture
def right_breast(tmp_path: Path) -> Path:
    pixels = (film_pixels([LESION], is_right=True) * 16383).astype("<u2")
    source = digital_mammogram((HEIGHT, WIDTH), WindowCenter=None, WindowWidth=None)
    source.PixelData = pixels.tobytes()
    source.save_as(tmp_path / "right.dcm", enforce_file_format=True)
    return tmp_path / "right.dcm"


def marks_through(path: Path, **recipe: Any) -> tuple[Detections, dict[str, Any]]:
    (sample,) = load_samples(str(path))
    prepared = MammogramDataset([sample], inference_transforms("full", **recipe))[0]
    return detections_in_original(
        prepared, FullImageInferer(RectangleDetector(0.65))(prepared["image"])
    ), prepared


@pytest.mark.parametrize("kind", ["sr", "cad", "seg", "gsps"])
@pytest.mark.parametrize(
    ("recipe", "tolerance_px"),
    [
        ({"preset": "fixed_portrait", "size_px": 128, "region": "global"}, 2.0),
        ({"preset": "fixed_size", "size_px": 64, "region": "otsu"}, 3.0),
    ],
)
def test_a_right_breast_that_was_cropped_mirrored_and_resized_is_marked_where_the_lesion_is(
    right_breast: Path, kind: str, recipe: dict[str, Any], tolerance_px: float
) -> None:
    found, prepared = marks_through(right_breast, **recipe)
    steps = [type(each).__name__ for each in prepared["frame"].steps]
    assert {"Crop", "Flip", "Scale"} <= set(steps)
    assert len(found.boxes) == 1
    source = dcmread(right_breast)
    result = build_result(kind, [MarkedImage(source, found)], MODEL)
    if kind == "gsps":
        points = np.reshape(result.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData, (-1, 2))
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    else:
        (box,) = read_marks(result)[0].boxes
    np.testing.assert_allclose(box, found.boxes[0], rtol=1e-6)
    np.testing.assert_allclose(box, LESION, atol=tolerance_px)
    x_min, y_min, x_max, y_max = (round(each) for each in box)
    stored = source.pixel_array
    assert (stored[y_min + 3 : y_max - 3, x_min + 3 : x_max - 3] == 16383).all()
