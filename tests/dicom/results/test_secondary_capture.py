import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_monai.dicom.results import build_result, result_uid
from mammo_monai.dicom.results.secondary_capture import LONGER_SIDE_PX
from mammo_monai.errors import DicomError
from tests.dicom.results.sources import MODEL, detections, digital_mammogram, marked, nothing_marked
from tests.dicom_factory import mammogram_dataset

AMBER = (255, 190, 60)


def flat(height: int, width: int, value: int = 8192, **tags: object) -> Dataset:
    """A mammogram of one grey."""
    identity = digital_mammogram((height, width))
    keep = ("StudyInstanceUID", "SeriesInstanceUID", "PatientOrientation", "ImageLaterality")
    pixels = np.full((height, width), value, dtype=np.uint16)
    return mammogram_dataset(pixels, tags={**{each: identity[each].value for each in keep}, **tags})


def picture(result: Dataset) -> NDArray[np.uint8]:
    return np.asarray(result.pixel_array)


def amber(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((np.abs(pixels.astype(int) - AMBER) < 30).all(axis=-1))


def test_the_line_lies_around_the_box_and_hides_nothing_in_it() -> None:
    box = np.array([[100.0, 200, 180, 260]])
    result = build_result("sc", [marked(flat(400, 300), detections(box, np.array([0.5])))], MODEL)
    pixels = picture(result)
    assert pixels.shape == (400 + 16, 300, 3)
    assert (pixels[200:260, 100:180] == 128).all()
    drawn = amber(pixels)[:400]
    assert drawn[199, 100:180].all()
    assert drawn[260, 100:180].all()
    assert drawn[200:260, 99].all()
    assert drawn[200:260, 180].all()


def test_a_box_at_the_edge_of_the_image_is_closed_there() -> None:
    boxes = np.array([[0.0, 150, 80, 210], [220.0, 0, 300, 40], [100.0, 330, 160, 400]])
    scores = np.array([0.5, 0.4, 0.3])
    drawn = amber(picture(build_result("sc", [marked(flat(400, 300), detections(boxes, scores))], MODEL)))
    assert drawn[150:210, 0].all()
    assert drawn[0, 220:300].all()
    assert drawn[0:40, 299].all()
    assert drawn[399:401, 100:160].any(axis=0).all()


def test_a_smaller_picture_has_its_boxes_in_the_same_place() -> None:
    box = np.array([[100.0, 200, 180, 260]])
    image = marked(flat(400, 300), detections(box, np.array([0.5])))
    pixels = picture(build_result("sc", [image], MODEL, longer_side_px=200))
    assert pixels.shape[:2] == (200 + 16, 150)
    assert (pixels[101:129, 51:89] == 128).all()
    assert amber(pixels)[99, 52:88].all()
    full = build_result("sc", [image], MODEL, longer_side_px=None)
    assert (full.Rows, full.Columns) == (416, 300)


def test_pictures_of_several_sizes_are_objects_of_their_own() -> None:
    image = marked(flat(LONGER_SIDE_PX + 2, 30), nothing_marked())
    made = [build_result("sc", [image], MODEL, longer_side_px=side) for side in (LONGER_SIDE_PX, None, 200)]
    assert len({each.SOPInstanceUID for each in made}) == 3
    assert made[0].SOPInstanceUID == result_uid("sc", [image.source.SOPInstanceUID], MODEL)
    again = build_result("sc", [image], MODEL, longer_side_px=None)
    assert again.SOPInstanceUID == made[1].SOPInstanceUID
    small = marked(flat(400, 300), nothing_marked())
    same = [build_result("sc", [small], MODEL, longer_side_px=side) for side in (LONGER_SIDE_PX, None)]
    assert same[0].SOPInstanceUID == same[1].SOPInstanceUID
    reports = [build_result("sr", [image], MODEL, longer_side_px=side) for side in (None, 200)]
    assert reports[0].SOPInstanceUID == reports[1].SOPInstanceUID


def test_the_picture_says_that_it_is_not_for_diagnosis() -> None:
    result = build_result("sc", [marked(flat(400, 300), nothing_marked())], MODEL)
    pixels = picture(result)
    assert (pixels[:400] == 128).all()
    assert (pixels[400:].max(axis=-1) > 100).sum() > 50
    assert result.BurnedInAnnotation == "YES"
    assert result.DerivationDescription.startswith("NOT FOR DIAGNOSIS - mass_bundle 1.2.0: nothing marked")
    assert result.DerivationCodeSequence[0].CodingSchemeDesignator == "99MAMMOMONAI"
    assert list(result.ImageType) == ["DERIVED", "SECONDARY"]
    assert list(result.PatientOrientation) == ["P", "FL"]
    source = result.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == flat(4, 5).SOPInstanceUID


def test_low_values_are_bright_where_the_image_says_so() -> None:
    dark = flat(60, 50, 0, PhotometricInterpretation="MONOCHROME1")
    assert (picture(build_result("sc", [marked(dark, nothing_marked())], MODEL))[:60] == 255).all()


def test_a_caption_without_room_above_stands_below_and_within_the_width() -> None:
    box = np.array([[230.0, 0, 300, 40]])
    pixels = picture(build_result("sc", [marked(flat(400, 300), detections(box, np.array([0.5])))], MODEL))
    drawn = amber(pixels)[:400]
    assert drawn[45:70].any()
    assert drawn[45:70, :295].any()


def test_an_image_too_small_for_words_still_gets_its_strip() -> None:
    result = build_result("sc", [marked(flat(10, 7), nothing_marked())], MODEL)
    assert picture(result).shape == (26, 7, 3)
    assert len(result.PixelData) == 26 * 7 * 3


def test_a_header_alone_is_no_picture() -> None:
    header = flat(40, 30)
    del header.PixelData
    with pytest.raises(DicomError, match=r"a1b2: expected Pixel Data"):
        build_result("sc", [marked(header, nothing_marked())], MODEL)
