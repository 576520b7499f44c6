import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from mammo_monai.apps.mark_results import label_name, marks_json, slicer_markups, slicer_spacing_mm
from mammo_monai.readers import FolderOptions, ManifestPlan, Reading, read_dataset
from mammo_monai.records import Detections, Split
from tests.dicom_factory import grey_ramp, write_mammogram

BOXES = np.array([[10.25, 20.5, 60.0, 90.75], [0.0, 0.0, 8.0, 12.0]])
MARKS = Detections("9f9f9f", BOXES, np.array([0.9, 0.2]), np.array([0, 0]))
EMPTY = Detections("9f9f9f")


def test_json_has_boxes_labels_scores_and_the_model() -> None:
    found = json.loads(json.dumps(marks_json(MARKS, {"bundle": "b", "weights_sha256": "0" * 64})))
    assert found["box"] == BOXES.tolist()
    assert (found["label"], found["scores"]) == (["mass", "mass"], [0.9, 0.2])
    assert (found["probabilities"], found["label_names"]) == (None, {"mass": 0})
    assert found["model"]["bundle"] == "b"
    assert "9f9f9f" not in json.dumps(found)


def test_an_image_without_marks_has_empty_lists() -> None:
    found = marks_json(EMPTY, {})
    assert (found["box"], found["label"], found["scores"]) == ([], [], [])
    assert slicer_markups(EMPTY, (1.0, 1.0))["markups"] == []


def test_classes_have_their_names() -> None:
    assert [label_name(each) for each in (0, 1, 9)] == ["mass", "calcification", "class 9"]


@pytest.mark.parametrize(
    ("tags", "spacing_mm"),
    [
        ({"ImagerPixelSpacing": [0.1, 0.07]}, (0.1, 0.07)),
        ({}, (1.0, 1.0)),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "PixelSpacing": [0.05, 0.04]}, (0.05, 0.04)),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "NominalScannedPixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
    ],
)
def test_what_slicer_is_given_comes_back_as_the_same_pixels(
    tmp_path: Path, tags: dict[str, object], spacing_mm: tuple[float, float]
) -> None:
    image = write_mammogram(tmp_path / "right.dcm", grey_ramp((120, 80)), tags=tags)
    assert slicer_spacing_mm(image) == spacing_mm
    labels = tmp_path / "labels" / "final"
    labels.mkdir(parents=True)
    (labels / "right.json").write_text(json.dumps(slicer_markups(MARKS, spacing_mm)))
    options = FolderOptions(annotations=labels, format="monai-label")
    plan = ManifestPlan("folder", tmp_path, options, Split.TEST)
    (record,) = read_dataset(plan, Reading("salt")).images()
    assert_allclose(record.boxes, BOXES, atol=1e-9)
    assert [lesion.type for lesion in record.lesions] == ["mass", "mass"]


def test_a_png_is_1_mm_a_pixel_and_a_picture_with_a_resolution_is_nobodys_guess(tmp_path: Path) -> None:
    pixels = Image.fromarray(np.zeros((6, 4), dtype=np.uint8))
    pixels.save(tmp_path / "a.png", dpi=(300, 300))
    pixels.save(tmp_path / "a.jpg", dpi=(300, 300))
    assert slicer_spacing_mm(tmp_path / "a.png") == (1.0, 1.0)
    assert slicer_spacing_mm(tmp_path / "a.jpg") is None
