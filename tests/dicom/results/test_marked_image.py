from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_monai.dicom.results import RESULT_KINDS, MarkedImage, build_result
from mammo_monai.dicom.results.marked_image import checked_image
from mammo_monai.errors import DicomError
from tests.dicom.results.sources import BOXES, MODEL, SCORES, detections, digital_mammogram, marked


def refusal(image: MarkedImage) -> str:
    with pytest.raises(DicomError) as refused:
        checked_image(image)
    return str(refused.value)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_a_source_without_a_study_or_series_is_refused_by_every_kind(kind: str, keyword: str) -> None:
    source = digital_mammogram(**{keyword: None})
    with pytest.raises(DicomError, match=f"a1b2: expected {keyword} in the image, got none: a result refers"):
        build_result(kind, [marked(source)], MODEL)


def test_the_uids_of_the_instance_may_stand_in_the_meta_information_alone() -> None:
    source = digital_mammogram(SOPInstanceUID=None, SOPClassUID=None)
    image = checked_image(marked(source))
    assert (image.uid, image.sop_class_uid) == (
        source.file_meta.MediaStorageSOPInstanceUID,
        source.file_meta.MediaStorageSOPClassUID,
    )


def test_several_frames_are_refused() -> None:
    assert "expected an image of one frame, got 3" in refusal(marked(digital_mammogram(NumberOfFrames=3)))


def test_a_header_without_a_size_is_no_image() -> None:
    assert "Rows and Columns of at least 1, got 0 × 30" in refusal(marked(digital_mammogram(Rows=None)))


def test_a_data_set_without_meta_information_is_refused_in_words() -> None:
    bare = Dataset()
    bare.update({element.tag: element for element in digital_mammogram()})
    assert refusal(marked(bare)).startswith("a1b2: expected attributes of the mammography image IOD")


@pytest.mark.parametrize(
    ("rows", "columns", "expected"), [(41, 30, "41 rows"), (40, 31, "31 columns"), (None, 40, "40 columns")]
)
def test_an_image_of_another_size_has_changed_since(rows: int | None, columns: int, expected: str) -> None:
    text = refusal(MarkedImage(digital_mammogram(), detections(), rows, columns))
    assert f"expected an image of {expected}" in text
    assert "changed since" in text


def test_the_size_the_boxes_were_found_in_is_no_fault() -> None:
    assert len(checked_image(MarkedImage(digital_mammogram(), detections(), 40, 30)).boxes) == 2


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([0, 0, 31, 10], "outside the image of 30 × 40"),
        ([-2, 0, 5, 10], "outside"),
        ([5, 5, 5, 10], "no area"),
        ([1, 1, np.nan, 4], "not finite"),
    ],
)
def test_a_box_that_marks_no_pixels_of_the_image_is_refused(box: list[float], reason: str) -> None:
    text = refusal(marked(found=detections(np.array([box], dtype=float), np.array([0.5]))))
    assert text.startswith("a1b2: expected boxes in the stored pixels")
    assert reason in text


def test_a_box_over_the_border_by_rounding_is_cut_not_refused() -> None:
    found = detections(np.array([[-0.005, 1, 30.004, 40.0]]), np.array([0.5]))
    assert checked_image(marked(found=found)).boxes.tolist() == [[0, 1, 30, 40]]


@pytest.mark.parametrize("scores", [[0.5, 1.5], [0.5, -0.1], [0.5, np.nan]])
def test_a_score_is_a_share_and_missing_only_where_a_person_drew_the_box(scores: list[float]) -> None:
    found = detections(scores=np.array(scores))
    assert "expected each score from 0 to 1" in refusal(marked(found=found))
    if np.isnan(scores[1]):
        assert checked_image(marked(found=found), are_scores_needed=False).mark_name(1) == "Mass 2"


def test_lists_of_different_lengths_are_refused() -> None:
    assert "one score per box, got 1 for 2" in refusal(marked(found=detections(scores=SCORES[:1])))
    assert "one label per box, got 1 for 2" in refusal(
        marked(found=detections(labels=np.zeros(1, dtype=np.int64)))
    )
    assert "one probability per box, got 3" in refusal(marked(found=detections(probabilities=np.zeros(3))))


def test_captions_say_percent_of_probabilities_alone() -> None:
    assert checked_image(marked()).caption(0) == "Mass 1: score 0.83"
    calibrated = detections(probabilities=np.array([0.67, 0.1]), labels=np.array([0, 9]))
    image = checked_image(marked(found=calibrated))
    assert (image.caption(0), image.caption(1)) == ("Mass 1: 67 %", "Lesion 2: 10 %")
    drawn = detections(BOXES[:1], np.array([np.nan]))
    assert checked_image(marked(found=drawn), are_scores_needed=False).caption(0) == "Mass 1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["P", "FL"], ["P", "FL"]), ("CC", []), (["X", "Y"], []), (None, []), (["P", ""], [])],
)
def test_an_orientation_that_names_no_directions_is_left_out(given: object, expected: list[str]) -> None:
    assert checked_image(marked(digital_mammogram(PatientOrientation=given))).orientation == expected


def test_the_file_name_tells_the_side_where_the_header_does_not() -> None:
    source = digital_mammogram(ImageLaterality=None)
    found = detections(image=Path("films/P1_RIGHT_CC.dcm"))
    laterality = checked_image(marked(source, found)).attributes.laterality
    assert laterality is not None
    assert laterality.value == "R"
