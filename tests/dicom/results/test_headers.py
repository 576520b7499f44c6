from datetime import datetime

import pytest
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO

from mammo_monai.dicom.results import RESULT_KINDS, ModelIdentity, build_result, result_uid
from tests.dicom.results.sources import (
    MODEL,
    SERIES,
    STUDY,
    detections,
    digital_mammogram,
    marked,
    nothing_marked,
)

NAMES = {
    "ISO_IR 100": "Müller^Jürgen",
    "ISO_IR 144": "Люкceмбypг^Роза",
    "ISO_IR 192": "Wáng^Xiǎo 王^小東",
}


def stored(result: Dataset) -> Dataset:
    """What a reader gets from the file."""
    stream = DicomBytesIO()
    result.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return dcmread(stream)


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_a_result_is_in_the_study_of_its_source_in_a_series_of_its_own(kind: str) -> None:
    source = digital_mammogram()
    result = stored(build_result(kind, [marked(source)], MODEL))
    for keyword in ("StudyInstanceUID", "StudyDate", "StudyID", "AccessionNumber", "PatientID", "PatientSex"):
        assert result[keyword].value == source[keyword].value
    assert (result.StudyInstanceUID, result.PatientAge) == (STUDY, "069Y")
    assert result.SeriesInstanceUID != SERIES
    assert "not for diagnosis" in result.SeriesDescription
    assert result.SeriesNumber > 9000
    assert result.SOPInstanceUID == result_uid(kind, [source.SOPInstanceUID], MODEL)
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_every_kind_names_model_weights_and_operating_point(kind: str) -> None:
    result = stored(build_result(kind, [marked()], MODEL))
    (equipment,) = result.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert equipment.ManufacturerModelName == result.ManufacturerModelName == "mass_bundle"
    assert equipment.DeviceSerialNumber == "ab" * 32
    assert list(equipment.SoftwareVersions) == ["mammo-monai 0.1.0", "model 1.2.0"]
    assert equipment.ContributionDescription.splitlines() == [
        "weights_sha256=" + "ab" * 32,
        "score_threshold=0.31",
        "false_positives_per_image=0.5",
        "software=mammo-monai 0.1.0",
        "reviewed_by_a_person=no",
        "intended_use=not for diagnosis",
        "model_version=1.2.0",
    ]
    (scheme,) = result.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99MAMMOMONAI"


@pytest.mark.parametrize(("charset", "name"), NAMES.items())
def test_names_in_other_scripts_survive(charset: str, name: str) -> None:
    source = stored(
        digital_mammogram(SpecificCharacterSet=charset, PatientName=name, StudyDescription="Ö"[:0])
    )
    result = stored(build_result("sr", [marked(source)], MODEL))
    assert str(result.PatientName) == name
    assert result.SpecificCharacterSet == "ISO_IR 192"


def test_a_name_without_a_declared_character_set_survives_as_the_bytes_read() -> None:
    source = digital_mammogram(OtherPatientNames=["A^B", "C^D"])
    del source.SpecificCharacterSet
    result = stored(build_result("gsps", [marked(stored(source))], MODEL))
    assert [str(each) for each in result.OtherPatientNames] == ["A^B", "C^D"]


def test_what_the_source_lacks_is_empty_and_what_is_illegal_there_stays() -> None:
    source = digital_mammogram(PatientBirthDate=None, StudyID=None)
    for keyword, value in (("StudyDate", "2020-1-2"), ("PatientSex", "female")):
        tag = source[keyword].tag
        source[tag] = DataElement(tag, source[keyword].VR, value, validation_mode=IGNORE)
    source = stored(source)
    result = stored(build_result("sr", [marked(source)], MODEL))
    assert (result.PatientBirthDate, result.StudyID) == ("", "")
    assert (result.PatientSex, result.StudyDate) == ("female", "2020-1-2")


@pytest.mark.parametrize(("number", "expected"), [(4, 4), (None, 1), (0, 1)])
def test_results_sort_as_their_images(number: int | None, expected: int) -> None:
    source = digital_mammogram(InstanceNumber=number)
    assert build_result("sr", [marked(source)], MODEL).InstanceNumber == expected


def test_pictures_of_each_side_have_a_series_of_their_own() -> None:
    right, left, unknown = (
        build_result("gsps", [marked(digital_mammogram(ImageLaterality=side))], MODEL)
        for side in ("R", "L", None)
    )
    assert len({each.SeriesInstanceUID for each in (right, left, unknown)}) == 3
    assert [each.Laterality for each in (right, left, unknown)] == ["R", "L", ""]


def test_each_images_report_has_a_series_named_after_its_view() -> None:
    """OHIF 3.12 opens one report of a series: a reader of four views would see that of one."""
    told = ({"ImageLaterality": "R"}, {"ImageLaterality": "L"})
    unknown = dict.fromkeys(("ImageLaterality", "ViewPosition", "ViewCodeSequence"))
    sources = [digital_mammogram(uid=f"1.2.{n}", **tags) for n, tags in enumerate((*told, unknown))]
    reports = [build_result("sr", [marked(source)], MODEL) for source in sources]
    assert len({each.SeriesInstanceUID for each in reports}) == 3
    assert [each.SeriesDescription for each in reports] == [
        "Marks (SR) R MLO, not for diagnosis",
        "Marks (SR) L MLO, not for diagnosis",
        "Marks (SR), not for diagnosis",
    ]
    again = build_result("sr", [marked(sources[0])], MODEL)
    assert again.SeriesInstanceUID == reports[0].SeriesInstanceUID


def test_the_same_marks_are_the_same_object_to_the_byte() -> None:
    when = datetime(2024, 5, 6, 7, 8, 9)
    results = [build_result("sr", [marked()], MODEL, created=when) for _ in range(2)]
    assert results[0] == results[1]
    assert (results[0].ContentDate, results[0].ContentTime) == ("20240506", "070809")


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_a_persons_edit_is_another_object(kind: str) -> None:
    machine = build_result(kind, [marked()], MODEL)
    edited = build_result(kind, [marked()], MODEL, reviewed=True)
    again = build_result(kind, [marked(found=nothing_marked())], MODEL, reviewed=True)
    uids = {each.SOPInstanceUID for each in (machine, edited, again)}
    assert len(uids) == 3
    assert "reviewed_by_a_person=yes" in edited.ContributingEquipmentSequence[0].ContributionDescription


def test_a_report_is_verified_by_a_named_observer_alone() -> None:
    machine = build_result("sr", [marked()], MODEL)
    reviewed = build_result("sr", [marked()], MODEL, reviewed=True)
    verified = stored(build_result("sr", [marked()], MODEL, reviewed=True, observer="Röntgen^Wilhelm"))
    assert [each.VerificationFlag for each in (machine, reviewed, verified)] == [
        "UNVERIFIED",
        "UNVERIFIED",
        "VERIFIED",
    ]
    assert [each.PreliminaryFlag for each in (machine, verified)] == ["PRELIMINARY", "FINAL"]
    (observer,) = verified.VerifyingObserverSequence
    assert str(observer.VerifyingObserverName) == "Röntgen^Wilhelm"
    assert observer.VerifyingOrganization == "clinic"
    unknown = build_result(
        "cad", [marked(digital_mammogram(InstitutionName=None))], MODEL, reviewed=True, observer="R^W"
    )
    assert unknown.VerifyingObserverSequence[0].VerifyingOrganization == "not recorded"


def test_a_model_nobody_described_is_unknown_not_blank() -> None:
    anonymous = ModelIdentity("unnamed model", "unknown", None, "")
    result = stored(build_result("sr", [marked()], anonymous))
    assert result.DeviceSerialNumber == "unknown"
    assert result.SoftwareVersions[0].startswith("mammo-monai ")
    assert "score_threshold" not in result.ContributingEquipmentSequence[0].ContributionDescription


@pytest.mark.parametrize(
    ("kind", "n_images", "options", "message"),
    [
        ("pdf", 1, {}, "kind must be sr, cad, gsps, sc, seg, got 'pdf'"),
        ("sr", 2, {}, "sr is made of one image, got 2"),
        ("cad", 0, {}, "cad is made of at least one image, got 0"),
        ("sr", 1, {"observer": "A^B"}, "pass reviewed=True"),
    ],
)
def test_misuse_is_refused(kind: str, n_images: int, options: dict[str, str], message: str) -> None:
    images = [marked(digital_mammogram(), detections())] * n_images
    with pytest.raises(ValueError, match=message):
        build_result(kind, images, MODEL, **options)  # type: ignore[arg-type]  # a test of misuse
