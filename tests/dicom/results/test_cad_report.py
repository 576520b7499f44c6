import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result
from mammo_monai.dicom.results import codes as c
from mammo_monai.dicom.results.read_tree import child, children, named, number_in, resolved, tree_of
from mammo_monai.errors import DicomError
from tests.dicom.results.sources import BOXES, MODEL, detections, digital_mammogram, marked, nothing_marked

UIDS = ("1.2.3.1", "1.2.3.2")


def study(found: tuple[int, int] = (2, 0)) -> list[MarkedImage]:
    """Two images of a study, in series of their own, with the first N of `BOXES` marked."""
    sides = ("R", "L")
    return [
        MarkedImage(
            digital_mammogram(uid=uid, ImageLaterality=side, SeriesInstanceUID=f"{uid}.9"),
            detections(BOXES[:n], np.array([0.8, 0.4])[:n], record_id=f"image{side}"),
        )
        for uid, side, n in zip(UIDS, sides, found, strict=True)
    ]


def values(root: Dataset, name: c.Code) -> list[str]:
    return [each.ConceptCodeSequence[0].CodeValue for each in named(root, name)]


def test_one_report_speaks_of_all_images_of_a_study() -> None:
    report = build_result("cad", study(), MODEL)
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.50"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "4000"
    (library,) = children(report, c.IMAGE_LIBRARY)
    images = [each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in children(library)]
    assert images == list(UIDS)
    assert values(library, c.IMAGE_LATERALITY) == ["73056007", "80248007"]
    assert values(library, c.IMAGE_VIEW) == ["399368009"] * 2
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    assert [each.SeriesInstanceUID for each in evidence.ReferencedSeriesSequence] == [
        "1.2.3.1.9",
        "1.2.3.2.9",
    ]
    assert report.InstanceNumber == 1


def test_children_stand_in_the_order_of_the_template() -> None:
    report = build_result("cad", study(), MODEL)
    names = [c.code_of(each.ConceptNameCodeSequence)[0] for each in report.ContentSequence]
    assert names == ["121049", "111028", "111017", "111064", "111065"]


def test_a_finding_lies_on_its_image_with_centre_outline_and_certainty() -> None:
    report = build_result("cad", study((0, 1)), MODEL)
    (impression,) = named(report, c.INDIVIDUAL_IMPRESSION)
    (finding,) = children(impression, c.SINGLE_IMAGE_FINDING)
    assert finding.ConceptCodeSequence[0].CodeValue == "129793001"
    assert values(impression, c.RENDERING_INTENT) == ["111150", "111150"]
    assert number_in(child(finding, c.CERTAINTY)) == 80.0
    for name, points in (
        (c.CENTER, [12.0, 6.75]),
        (c.OUTLINE, [3.25, 2.5, 20.75, 2.5, 20.75, 11, 3.25, 11, 3.25, 2.5]),
    ):
        region = child(finding, name)
        assert region is not None
        assert region.GraphicData == points
        target = resolved(report, region.ContentSequence[0])
        assert target.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == UIDS[1]


def test_what_was_run_is_listed_with_its_images_weights_and_operating_point() -> None:
    report = build_result("cad", study(), MODEL)
    (detection,) = named(report, c.DETECTION_PERFORMED)
    assert child(detection, c.ALGORITHM_NAME).TextValue == "mass_bundle"  # type: ignore[union-attr]
    assert child(detection, c.ALGORITHM_VERSION).TextValue == "1.2.0"  # type: ignore[union-attr]
    parameters = {each.TextValue for each in children(detection, c.ALGORITHM_PARAMETERS)}
    assert {"score_threshold=0.31", "intended_use=not for diagnosis"} < parameters
    references = [each for each in detection.ContentSequence if "ReferencedContentItemIdentifier" in each]
    images = [resolved(report, each).ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in references]
    assert images == list(UIDS)
    (point,) = named(detection, c.OPERATING_POINT)
    assert number_in(child(point, c.FALSE_MARKERS_PER_IMAGE)) == 0.5
    assert number_in(child(point, c.CERTAINTY)) == 31.0
    assert values(report, c.SUMMARY_OF_DETECTIONS) == ["111222"]
    assert values(report, c.SUMMARY_OF_ANALYSES) == ["111225"]


def test_the_threshold_of_a_score_is_no_point_on_the_axis_of_probabilities() -> None:
    found = detections(probabilities=np.array([0.5, 0.2]))
    report = build_result("cad", [marked(found=found)], MODEL)
    (point,) = named(report, c.OPERATING_POINT)
    assert child(point, c.CERTAINTY) is None
    assert number_in(child(point, c.FALSE_MARKERS_PER_IMAGE)) == 0.5


def test_nothing_marked_is_success_without_findings() -> None:
    report = build_result("cad", [marked(found=nothing_marked())], MODEL)
    assert values(report, c.FINDINGS_SUMMARY) == ["111241"]
    assert values(report, c.SINGLE_IMAGE_FINDING) == []
    assert values(report, c.DETECTION_PERFORMED) == ["129793001"]
    assert values(build_result("cad", [marked()], MODEL), c.FINDINGS_SUMMARY) == ["111242"]


def test_what_the_source_does_not_say_is_left_out() -> None:
    source = digital_mammogram(
        ImageLaterality=None,
        ViewPosition="OTHER",
        ViewCodeSequence=None,
        PatientOrientation=None,
        StudyDate="",
    )
    report = build_result("cad", [marked(source)], ModelIdentity("mine", "1", None, ""))
    (library,) = children(report, c.IMAGE_LIBRARY)
    assert children(children(library)[0]) == []
    assert values(report, c.X_CONCEPT) == []
    whole = build_result("cad", [marked()], MODEL)
    texts = [each.TextValue for each in tree_of(whole) if each.get("ValueType") == "TEXT"]
    assert texts[:2] == ["P", "FL"]


def test_a_person_draws_without_certainty() -> None:
    found = detections(scores=np.array([np.nan, 0.5]))
    report = build_result("cad", [marked(found=found)], MODEL, reviewed=True)
    certainties = named(report, c.CERTAINTY)
    assert [number_in(each) for each in certainties] == [50.0, 31.0]


def test_images_of_two_studies_are_refused() -> None:
    images = [*study(), marked(digital_mammogram(uid="1.2.3.3", StudyInstanceUID="1.9"))]
    with pytest.raises(DicomError, match="expected images of one study, got 2 Study Instance UIDs"):
        build_result("cad", images, MODEL)


def test_an_image_twice_is_refused() -> None:
    with pytest.raises(DicomError, match="expected each image once, got 2 for 1 SOP Instance"):
        build_result("cad", [marked(), marked()], MODEL)


def test_a_class_without_a_code_is_refused_with_the_way_out() -> None:
    with pytest.raises(DicomError, match=r"expected boxes of classes 0, 1, 3, got class 2.*Write an SR"):
        build_result("cad", [marked(found=detections(labels=np.array([0, 2])))], MODEL)
