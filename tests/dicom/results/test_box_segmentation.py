from pathlib import Path

import numpy as np
import pytest

from mammo_monai.dicom.results import build_result
from mammo_monai.dicom.results.box_segmentation import MAX_SEGMENTS
from mammo_monai.dicom.segmentation import read_segmentation, segment_masks
from mammo_monai.errors import DicomError
from tests.dicom.results.sources import BOXES, MODEL, detections, digital_mammogram, marked, nothing_marked


def mask_of(box: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Slow and obvious: a pixel is set when the box covers some of it."""
    rows, columns = shape
    mask = np.zeros(shape, dtype=bool)
    for y in range(rows):
        for x in range(columns):
            mask[y, x] = x + 1 > box[0] and x < box[2] and y + 1 > box[1] and y < box[3]
    return mask


@pytest.mark.parametrize("shape", [(40, 30), (41, 31)])  # 31 × 41 pixels: frames begin within a byte
def test_our_reader_finds_the_touched_pixels_of_every_box(tmp_path: Path, shape: tuple[int, int]) -> None:
    source = digital_mammogram(shape)
    path = tmp_path / "seg.dcm"
    build_result("seg", [marked(source)], MODEL).save_as(path, enforce_file_format=True)
    segmentation = read_segmentation(path)
    assert segmentation.sources == (source.SOPInstanceUID,)
    masks = list(segment_masks(segmentation, source.SOPInstanceUID))
    assert [each.segment.label for each in masks] == ["Mass 1", "Mass 2"]
    assert {each.segment.type_code for each in masks} == {"4147007"}
    for mask, box in zip(masks, BOXES, strict=True):
        np.testing.assert_array_equal(mask.pixels, mask_of(box, shape))


def test_highdicom_finds_the_same_pixels() -> None:
    seg = pytest.importorskip("highdicom.seg", reason="needs pyjpegls, which has no build for Python 3.14")
    source = digital_mammogram((41, 31))
    result = build_result("seg", [marked(source)], MODEL)
    segmentation = seg.Segmentation.from_dataset(result)
    pixels = segmentation.get_pixels_by_source_instance([source.SOPInstanceUID])
    assert pixels.shape == (1, 41, 31, 2)
    for n, box in enumerate(BOXES):
        np.testing.assert_array_equal(pixels[0, :, :, n].astype(bool), mask_of(box, (41, 31)))
    description = segmentation.get_segment_description(1)
    assert description.algorithm_type.value == "AUTOMATIC"
    assert description.segmented_property_type.value == "4147007"
    assert description.algorithm_identification[0].AlgorithmVersion == "1.2.0"


def test_a_segment_keeps_score_and_box_exactly() -> None:
    result = build_result("seg", [marked(found=detections(probabilities=np.array([0.67, 0.1])))], MODEL)
    lines = result.SegmentSequence[0].SegmentDescription.splitlines()
    assert lines == ["score=0.8312", "probability=0.67", "box=3.25,2.5,20.75,11.0"]


def test_nothing_marked_is_an_empty_segment_that_says_so() -> None:
    result = build_result("seg", [marked(found=nothing_marked())], MODEL, reviewed=True)
    (segment,) = result.SegmentSequence
    assert segment.SegmentLabel == "Nothing marked"
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert result.NumberOfFrames == 1
    assert not any(result.PixelData)


def test_too_many_boxes_are_refused_with_the_way_out() -> None:
    n = MAX_SEGMENTS + 1
    found = detections(np.tile(BOXES[:1], (n, 1)), np.full(n, 0.5))
    with pytest.raises(DicomError, match=r"at most 64 boxes.*got 65.*--min-score or --fppi"):
        build_result("seg", [marked(found=found)], MODEL)
