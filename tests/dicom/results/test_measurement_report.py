import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_monai.dicom.results import ModelIdentity, build_result
from mammo_monai.dicom.results import codes as c
from mammo_monai.dicom.results.read_tree import child, children, named, number_in
from tests.dicom.results.sources import (
    BOXES,
    MODEL,
    SCORES,
    detections,
    digital_mammogram,
    marked,
    nothing_marked,
)


def groups_of(report: Dataset) -> list[Dataset]:
    (measurements,) = children(report, c.IMAGING_MEASUREMENTS)
    return children(measurements, c.MEASUREMENT_GROUP)


def value_of(item: Dataset, name: c.Code) -> str:
    found = child(item, name)
    assert found is not None, name.meaning
    return str(found.ConceptCodeSequence[0].CodeValue)


def test_each_mark_is_a_group_with_box_finding_site_and_view() -> None:
    source = digital_mammogram()
    report = build_result("sr", [marked(source)], MODEL)
    groups = groups_of(report)
    assert len(groups) == 2
    for group, box in zip(groups, BOXES, strict=True):
        (region,) = children(group, c.IMAGE_REGION)
        x_min, y_min, x_max, y_max = box
        corners = [x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max, x_min, y_min]
        assert (region.GraphicType, region.GraphicData) == ("POLYLINE", corners)
        image = region.ContentSequence[0].ReferencedSOPSequence[0]
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert value_of(group, c.FINDING) == "4147007"
        assert value_of(group, c.FINDING_SITE) == "73056007"
        assert value_of(group, c.IMAGE_VIEW) == "399368009"
        assert child(group, c.ALGORITHM_NAME).TextValue == "mass_bundle"  # type: ignore[union-attr]
    assert groups[0] != groups[1]


def test_certainty_is_the_probability_where_calibrated_else_the_score_and_says_which() -> None:
    calibrated = detections(probabilities=np.array([0.67, 0.1]))
    for found, percent, method in ((detections(), 83.12, "by-score"), (calibrated, 67.0, "by-probability")):
        group = groups_of(build_result("sr", [marked(found=found)], MODEL))[0]
        certainty = child(group, c.CERTAINTY)
        assert number_in(certainty) == pytest.approx(percent, abs=1e-12)
        assert certainty is not None
        assert certainty.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "%"
        assert value_of(certainty, c.MEASUREMENT_METHOD) == method
        assert number_in(child(group, c.SCORE)) == SCORES[0]


def test_the_report_says_what_it_is_for_and_at_which_operating_point() -> None:
    (evaluations,) = children(build_result("sr", [marked()], MODEL), c.QUALITATIVE_EVALUATIONS)
    assert value_of(evaluations, c.FINDINGS_SUMMARY) == "111242"
    assert value_of(evaluations, c.INTENDED_USE) == "not-diagnostic"
    assert value_of(evaluations, c.REVIEW) == "not-reviewed"
    assert number_in(child(evaluations, c.SCORE_THRESHOLD)) == 0.31
    assert number_in(child(evaluations, c.FALSE_MARKERS_PER_IMAGE)) == 0.5
    parameters = [each.TextValue for each in children(evaluations, c.ALGORITHM_PARAMETERS)]
    assert f"weights_sha256={'ab' * 32}" in parameters


def test_nothing_marked_is_said_not_left_out() -> None:
    report = build_result("sr", [marked(found=nothing_marked())], MODEL)
    assert children(report, c.IMAGING_MEASUREMENTS) == []
    (evaluations,) = children(report, c.QUALITATIVE_EVALUATIONS)
    assert value_of(evaluations, c.FINDINGS_SUMMARY) == "111241"


def test_highdicom_finds_nothing_where_nothing_is_marked() -> None:
    sr = pytest.importorskip("highdicom.sr", reason="needs pyjpegls, which has no build for Python 3.14")
    report = build_result("sr", [marked(found=nothing_marked())], MODEL)
    assert sr.ComprehensiveSR.from_dataset(report).content.get_planar_roi_measurement_groups() == []


def test_without_an_operating_point_none_is_named() -> None:
    report = build_result("sr", [marked()], ModelIdentity("mine", "unknown", None, ""))
    (evaluations,) = children(report, c.QUALITATIVE_EVALUATIONS)
    assert child(evaluations, c.SCORE_THRESHOLD) is None
    assert child(evaluations, c.FALSE_MARKERS_PER_IMAGE) is None
    assert child(report, c.DEVICE_SERIAL_NUMBER) is None


def test_side_and_view_that_nobody_wrote_down_are_left_out() -> None:
    source = digital_mammogram(ImageLaterality=None, ViewPosition=None, ViewCodeSequence=None)
    report = build_result("sr", [marked(source)], MODEL)
    group = groups_of(report)[0]
    assert value_of(group, c.FINDING_SITE) == "76752008"
    assert child(group, c.IMAGE_VIEW) is None
    assert named(report, c.IMAGE_LATERALITY) == named(report, c.IMAGE_VIEW) == []


def test_a_box_that_a_person_drew_has_no_certainty() -> None:
    found = detections(scores=np.array([0.5, np.nan]))
    report = build_result("sr", [marked(found=found)], MODEL, reviewed=True, observer="A^B")
    machine, drawn = groups_of(report)
    assert child(machine, c.CERTAINTY) is not None
    assert child(drawn, c.CERTAINTY) is None
    assert child(drawn, c.SCORE) is None
    assert child(report, c.PERSON_OBSERVER_NAME).PersonName == "A^B"  # type: ignore[union-attr]
    (evaluations,) = children(report, c.QUALITATIVE_EVALUATIONS)
    assert value_of(evaluations, c.REVIEW) == "reviewed"


def test_highdicom_reads_the_template_as_we_meant_it() -> None:
    sr = pytest.importorskip("highdicom.sr", reason="needs pyjpegls, which has no build for Python 3.14")
    labels = np.array([0, 3])
    report = sr.ComprehensiveSR.from_dataset(
        build_result("sr", [marked(found=detections(labels=labels))], MODEL)
    )
    groups = report.content.get_planar_roi_measurement_groups()
    assert [each.finding_type.meaning for each in groups] == ["Mass", "Architectural distortion of breast"]
    assert [each.tracking_identifier for each in groups] == ["Mass 1", "Distortion 2"]
    assert len({each.tracking_uid for each in groups}) == 2
    for group, box in zip(groups, BOXES, strict=True):
        corners = np.asarray(group.roi.value)
        np.testing.assert_allclose([*corners.min(axis=0), *corners.max(axis=0)], box, rtol=1e-7)
        (certainty, _) = group.get_measurements()
        assert (certainty.name.value, certainty.unit.value) == ("111012", "%")
    assert (
        report.content.get_observer_contexts()[0].observer_identifying_attributes.name == "mass_bundle 1.2.0"
    )
