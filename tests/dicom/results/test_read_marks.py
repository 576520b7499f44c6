import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result, read_marks
from mammo_monai.dicom.results import codes as c
from mammo_monai.dicom.results.read_tree import children, named, number_in, tree_of
from mammo_monai.errors import DicomError
from mammo_monai.records import Boxes
from tests.dicom.results.sources import (
    BOXES,
    MODEL,
    SCORES,
    detections,
    digital_mammogram,
    marked,
    nothing_marked,
)
from tests.strategies import valid_boxes

READABLE = ("sr", "cad", "seg")
CALIBRATED = detections(probabilities=np.array([0.67, 0.1]))


@pytest.mark.parametrize("kind", READABLE)
def test_boxes_scores_and_model_come_back(kind: str, tmp_path: Path) -> None:
    source = digital_mammogram()
    path = tmp_path / "result.dcm"
    build_result(kind, [marked(source)], MODEL).save_as(path, enforce_file_format=True)
    (marks,) = read_marks(path)
    assert marks.source_uid == source.SOPInstanceUID
    np.testing.assert_allclose(marks.boxes, BOXES, rtol=1e-7)
    np.testing.assert_allclose(marks.scores, SCORES, rtol=1e-12)
    assert marks.labels.tolist() == [0, 0]
    assert marks.model == MODEL
    assert marks.probabilities is None
    assert not marks.is_reviewed


@settings(max_examples=25)
@given(boxes=valid_boxes((30, 40), min_boxes=1), data=st.data(), kind=st.sampled_from(READABLE))
def test_any_marks_come_back(boxes: Boxes, data: st.DataObject, kind: str) -> None:
    shares = st.floats(0, 1)
    scores = np.array(data.draw(st.lists(shares, min_size=len(boxes), max_size=len(boxes))))
    (marks,) = read_marks(build_result(kind, [marked(found=detections(boxes, scores))], MODEL))
    np.testing.assert_array_equal(marks.boxes, boxes)  # quarter pixels: float32 holds them
    np.testing.assert_allclose(marks.scores, scores, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("kind", READABLE)
def test_probabilities_come_back_and_scores_where_there_is_room(kind: str) -> None:
    (marks,) = read_marks(build_result(kind, [marked(found=CALIBRATED)], MODEL))
    assert marks.probabilities is not None
    np.testing.assert_allclose(marks.probabilities, [0.67, 0.1], rtol=1e-12)
    expected = [0.67, 0.1] if kind == "cad" else SCORES  # one certainty per finding: TID 4006
    np.testing.assert_allclose(marks.scores, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", READABLE)
def test_an_image_without_marks_is_there_with_none(kind: str) -> None:
    source = digital_mammogram()
    (marks,) = read_marks(build_result(kind, [marked(source, nothing_marked())], MODEL, reviewed=True))
    assert marks.source_uid == source.SOPInstanceUID
    assert marks.boxes.shape == (0, 4)
    assert marks.scores.shape == marks.labels.shape == (0,)
    assert marks.is_reviewed


def test_a_cad_report_gives_each_image_its_own() -> None:
    images = [
        MarkedImage(digital_mammogram(uid=f"1.2.3.{n}"), detections(BOXES[:n], SCORES[:n])) for n in (2, 0, 1)
    ]
    marks = read_marks(build_result("cad", images, MODEL))
    assert {each.source_uid: len(each.boxes) for each in marks} == {"1.2.3.2": 2, "1.2.3.0": 0, "1.2.3.1": 1}


@pytest.mark.parametrize(("kind", "labels"), [("sr", [2, 9]), ("seg", [4, 3]), ("cad", [1, 3])])
def test_classes_come_back_and_strange_ones_as_other(kind: str, labels: list[int]) -> None:
    found = detections(labels=np.array(labels))
    (marks,) = read_marks(build_result(kind, [marked(found=found)], MODEL))
    assert marks.labels.tolist() == [4 if each == 9 else each for each in labels]


@pytest.mark.parametrize("kind", READABLE)
def test_a_drawn_box_has_no_score(kind: str) -> None:
    found = detections(scores=np.array([0.25, np.nan]))
    (marks,) = read_marks(build_result(kind, [marked(found=found)], MODEL, reviewed=True, observer="A^B"))
    np.testing.assert_allclose(marks.scores, [0.25, np.nan])


def test_a_report_of_another_system_is_read_for_what_it_holds() -> None:
    report = build_result("sr", [marked()], MODEL)
    del report.ContributingEquipmentSequence, report.ManufacturerModelName
    first, second = named(report, c.MEASUREMENT_GROUP)
    for item in list(named(first, c.FINDING) + named(first, c.SCORE)):
        first.ContentSequence.remove(item)
    for item in named(first, c.CERTAINTY):
        del item.MeasuredValueSequence[0].FloatingPointValue
    (region,) = named(second, c.IMAGE_REGION)
    region.GraphicData = [1, 2, 3, 4]  # a length
    (marks,) = read_marks(report)
    assert len(marks.boxes) == 1
    assert (marks.labels.tolist(), marks.scores.tolist()) == ([4], [pytest.approx(0.8312)])
    assert marks.model == ModelIdentity("unnamed model", "unknown", None, "")


def test_contributing_equipment_of_others_says_nothing_of_the_model() -> None:
    report = build_result("sr", [marked()], MODEL)
    report.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue = "109101"
    (marks,) = read_marks(report)
    assert marks.model == ModelIdentity("mass_bundle", "unknown", None, "")


def test_a_region_without_an_image_is_refused() -> None:
    report = build_result("sr", [marked()], MODEL)
    del named(report, c.IMAGE_REGION)[0].ContentSequence
    with pytest.raises(DicomError, match="expected every region to be selected from an image"):
        read_marks(report)


def test_a_reference_out_of_the_tree_is_refused() -> None:
    report = build_result("cad", [marked()], MODEL)
    named(report, c.OUTLINE)[0].ContentSequence[0].ReferencedContentItemIdentifier = [1, 9]
    with pytest.raises(DicomError, match="expected a whole report or segmentation"):
        read_marks(report)


def test_a_finding_with_a_centre_alone_has_no_box() -> None:
    report = build_result("cad", [marked()], MODEL)
    for finding in named(report, c.SINGLE_IMAGE_FINDING):
        finding.ContentSequence = Sequence(
            [each for each in finding.ContentSequence if each not in children(finding, c.OUTLINE)]
        )
    (marks,) = read_marks(report)
    assert len(marks.boxes) == 0


def test_a_segmentation_of_another_system_is_refused_with_the_way_to_read_it() -> None:
    result = build_result("seg", [marked()], MODEL)
    del result.SegmentSequence[0].SegmentDescription
    with pytest.raises(DicomError, match=r"another system. `mammo-monai manifest` reads its masks"):
        read_marks(result)


@pytest.mark.parametrize("kind", ["gsps", "sc"])
def test_overlays_and_captures_hold_no_boxes_to_read(kind: str) -> None:
    with pytest.raises(DicomError, match="expected an SR of TID 1500, a Mammography CAD SR or a SEG, got"):
        read_marks(build_result(kind, [marked()], MODEL))


def test_what_is_no_file_or_no_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match="found no such file"):
        read_marks(tmp_path / "none.dcm")
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(DicomError, match=r"text.dcm: expected a whole DICOM file"):
        read_marks(tmp_path / "text.dcm")
    with pytest.raises(DicomError, match=r"data set: expected an SR of TID 1500.*got no modality"):
        read_marks(Dataset())


def test_numbers_are_as_exact_as_they_are_written() -> None:
    report = build_result("sr", [marked()], MODEL)
    (score, _) = [each for each in tree_of(report) if each in named(report, c.SCORE)]
    assert number_in(score) == SCORES[0]
    assert np.isnan(number_in(None))


def test_a_report_of_thousands_of_images_is_read_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the report says of its model is the same for each: read again for every image, it took minutes."""
    dataset = build_result("sr", [marked()], MODEL)
    (study,) = dataset.CurrentRequestedProcedureEvidenceSequence
    images = []
    for number in range(3000):
        image = Dataset()
        image.ReferencedSOPInstanceUID = f"1.2.{number}"
        images.append(image)
    study.ReferencedSeriesSequence[0].ReferencedSOPSequence = Sequence(images)
    asked = []
    module = sys.modules[read_marks.__module__]  # the package has a function of the module's name
    monkeypatch.setattr(module, "identity_in", lambda _: asked.append(1) or MODEL)
    found = read_marks(dataset)
    assert len(found) == 3001  # the marked image is no longer among the evidence, and still there
    assert [len(each.boxes) for each in found if len(each.boxes)] == [2]
    assert len(asked) == 1
