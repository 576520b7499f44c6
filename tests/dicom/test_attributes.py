"""Side, view, spacing and identity: each source in its turn, and nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.dicom.name_patterns import laterality_in_text, view_position_in_text
from mammo_monai.errors import DicomError
from mammo_monai.records import Laterality, ViewPosition
from tests.dicom_factory import (
    SOP_INSTANCE_UID,
    code_item,
    grey_ramp,
    mammogram_dataset,
    write_bare,
    write_mammogram,
    write_scanned_film,
)


def frame_laterality(side: str) -> Sequence:
    anatomy, groups = Dataset(), Dataset()
    anatomy.FrameLaterality = side
    groups.FrameAnatomySequence = Sequence([anatomy])
    return Sequence([groups])


# Source by source: each file has this source and every later one, which says the other side.
LATERALITY_TAGS: tuple[tuple[str, dict[str, object]], ...] = (
    ("ImageLaterality", {"ImageLaterality": "R"}),
    ("Laterality", {"Laterality": "R", "ImageLaterality": "B"}),
    ("FrameLaterality", {"SharedFunctionalGroupsSequence": frame_laterality("R")}),
    ("PatientID", {"PatientID": "Mass-Test_P_00820_RIGHT_MLO"}),
    ("SeriesDescription", {"SeriesDescription": "R CC"}),
    ("file name", {}),
)
OTHER_SIDE: dict[str, dict[str, object]] = {
    "ImageLaterality": {"ImageLaterality": "L"},
    "Laterality": {"Laterality": "L"},
    "FrameLaterality": {"SharedFunctionalGroupsSequence": frame_laterality("L")},
    "PatientID": {"PatientID": "P_1_LEFT_CC"},
    "SeriesDescription": {"SeriesDescription": "LMLO"},
}
SIDE_NAMES = [name for name, _ in LATERALITY_TAGS]


@pytest.mark.parametrize("position", range(len(LATERALITY_TAGS)), ids=SIDE_NAMES)
def test_laterality_is_taken_from_the_first_source_that_names_a_side(tmp_path: Path, position: int) -> None:
    source, tags = LATERALITY_TAGS[position]
    later = {key: value for name in SIDE_NAMES[position + 1 : -1] for key, value in OTHER_SIDE[name].items()}
    name = "20586908_MG_R_ML_ANON.dcm" if source == "file name" else "20586908_MG_L_ML_ANON.dcm"
    attributes = read_attributes(write_mammogram(tmp_path / name, tags={**later, **tags}))
    assert (attributes.laterality, attributes.laterality_source) == (Laterality.RIGHT, source)


def test_both_breasts_and_frames_without_a_side_name_no_laterality(tmp_path: Path) -> None:
    tags = {"ImageLaterality": "B", "SharedFunctionalGroupsSequence": frame_laterality("U")}
    attributes = read_attributes(write_mammogram(tmp_path / "1-001.dcm", tags=tags))
    assert attributes.laterality is None
    assert attributes.laterality_source is None


VIEW_TAGS: tuple[tuple[str, dict[str, object]], ...] = (
    ("ViewPosition", {"ViewPosition": "MLO"}),
    ("ViewCodeSequence", {"ViewCodeSequence": code_item("399368009")}),
    ("PatientOrientation", {"PatientOrientation": "MLO"}),
    ("PatientID", {"PatientID": "P_1_LEFT_MLO"}),
    ("SeriesDescription", {"SeriesDescription": "MLO standard"}),
    ("file name", {}),
)
OTHER_VIEW: dict[str, dict[str, object]] = {
    "ViewPosition": {"ViewPosition": "CC"},
    "ViewCodeSequence": {"ViewCodeSequence": code_item("R-10242", "SRT")},
    "PatientOrientation": {"PatientOrientation": "CC"},
    "PatientID": {"PatientID": "P_1_RIGHT_CC"},
    "SeriesDescription": {"SeriesDescription": "CC"},
}
VIEW_NAMES = [name for name, _ in VIEW_TAGS]


@pytest.mark.parametrize("position", range(len(VIEW_TAGS)), ids=VIEW_NAMES)
def test_view_position_is_taken_from_the_first_source_naming_one(tmp_path: Path, position: int) -> None:
    source, tags = VIEW_TAGS[position]
    later = {key: value for name in VIEW_NAMES[position + 1 : -1] for key, value in OTHER_VIEW[name].items()}
    name = "7_MG_R_MLO_ANON.dcm" if source == "file name" else "7_MG_R_CC_ANON.dcm"
    attributes = read_attributes(write_mammogram(tmp_path / name, tags={**later, **tags}))
    assert (attributes.view_position, attributes.view_position_source) == (ViewPosition.MLO, source)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"ViewPosition": "mlo "}, ViewPosition.MLO),
        ({"ViewPosition": "SIO"}, ViewPosition.OTHER),
        ({"ViewPosition": "C C", "ViewCodeSequence": code_item("399162004")}, ViewPosition.CC),
        ({"ViewPosition": "SIO", "ViewCodeSequence": code_item("399196006")}, ViewPosition.OTHER),
        ({"ViewPosition": "SIO", "PatientOrientation": "CC"}, ViewPosition.OTHER),
        ({"ViewCodeSequence": code_item("399196006")}, ViewPosition.OTHER),
        ({"ViewCodeSequence": code_item("399192008")}, ViewPosition.XCCL),
        ({"ViewPosition": "", "ViewCodeSequence": code_item("R-10224", "SRT")}, ViewPosition.ML),
        ({"ViewPosition": "", "ViewCodeSequence": Sequence([Dataset()])}, None),
        ({"PatientOrientation": ["A", "FR"]}, None),
        ({}, None),
    ],
)
def test_other_views_are_kept_apart_from_unknown_ones(
    tmp_path: Path, tags: dict[str, object], expected: ViewPosition | None
) -> None:
    assert read_attributes(write_mammogram(tmp_path / "1.dcm", tags=tags)).view_position is expected


@pytest.mark.parametrize(
    ("text", "laterality", "view"),
    [
        ("Mass-Test_P_00820_RIGHT_MLO", "R", "MLO"),
        ("20586908_6c613a14b80a8591_MG_R_CC_ANON", "R", "CC"),
        ("lcc", "L", "CC"),
        ("RXCCL", "R", "XCCL"),
        ("MLO Left", "L", "MLO"),
        ("CC_R", "R", "CC"),
        ("left breast", "L", None),
        ("LEFT and RIGHT", None, None),
        ("L CC and R CC", None, "CC"),
        ("L CC, L MLO", "L", None),
        ("L. Smith", None, None),
        ("CC-1023", None, None),
        ("ML", None, None),
        ("ACCRUAL", None, None),
        ("BRIGHT", None, None),
        ("", None, None),
    ],
)
def test_text_is_read_narrowly(text: str, laterality: str | None, view: str | None) -> None:
    assert laterality_in_text(text) == (None if laterality is None else Laterality(laterality))
    assert view_position_in_text(text) == (None if view is None else ViewPosition(view))


PIXEL, IMAGER = {"PixelSpacing": ["0.05", "0.06"]}, {"ImagerPixelSpacing": ["0.07", "0.08"]}
FACTOR = {"EstimatedRadiographicMagnificationFactor": "2"}
SCANNED = {"NominalScannedPixelSpacing": ["0.042", "0.043"]}
SAME = {"PixelSpacing": ["0.07", "0.08"]}
ROUNDED = {"PixelSpacing": ["0.0701", "0.0799"]}  # the same in other digits, no calibration


@pytest.mark.parametrize(
    ("tags", "expected", "source"),
    [
        ({**PIXEL, **IMAGER, **FACTOR}, (0.05, 0.06), "PixelSpacing"),
        ({**PIXEL, **SCANNED}, (0.05, 0.06), "PixelSpacing"),
        ({**SAME, **IMAGER, **FACTOR}, (0.035, 0.04), "ImagerPixelSpacing"),
        ({**ROUNDED, **IMAGER, **FACTOR}, (0.035, 0.04), "ImagerPixelSpacing"),
        ({**SAME, **IMAGER, "PixelSpacingCalibrationType": "GEOMETRY"}, (0.07, 0.08), "PixelSpacing"),
        ({**IMAGER, **SCANNED}, (0.07, 0.08), "ImagerPixelSpacing"),
        ({**IMAGER, **FACTOR}, (0.035, 0.04), "ImagerPixelSpacing"),
        (
            {**IMAGER, "EstimatedRadiographicMagnificationFactor": "0"},
            (0.07, 0.08),
            "ImagerPixelSpacing",
        ),
        (SCANNED, (0.042, 0.043), "NominalScannedPixelSpacing"),
        ({"PixelSpacing": ["0", "0"], **IMAGER}, (0.07, 0.08), "ImagerPixelSpacing"),
        ({"PixelSpacing": ["0.1"]}, None, None),
        ({"ImagerPixelSpacing": None}, None, None),
        ({}, None, None),
    ],
)
def test_pixel_spacing_follows_the_standard(
    tmp_path: Path, tags: dict[str, object], expected: tuple[float, float] | None, source: str | None
) -> None:
    attributes = read_attributes(write_mammogram(tmp_path / "1.dcm", tags=tags))
    assert attributes.pixel_spacing_mm == (None if expected is None else pytest.approx(expected))
    assert attributes.pixel_spacing_source == source


def test_spacing_that_is_no_number_is_unknown() -> None:
    from mammo_monai.dicom.spacing import pixel_spacing_of

    dataset = Dataset()
    dataset.add_new("PixelSpacing", "LO", ["wide", "0.1"])
    assert pixel_spacing_of(dataset) == (None, None)


def test_identity_size_and_intent_come_from_the_header(tmp_path: Path) -> None:
    attributes = read_attributes(write_mammogram(tmp_path / "1.dcm"))
    assert attributes.sop_instance_uid == SOP_INSTANCE_UID
    assert attributes.patient_id == "patient-7"
    assert (attributes.rows, attributes.columns, attributes.bits_stored) == (6, 10, 14)
    assert attributes.photometric_interpretation == "MONOCHROME2"
    assert attributes.presentation_intent == "FOR PRESENTATION"


def test_the_intent_falls_back_on_the_sop_class(tmp_path: Path) -> None:
    tags = {"PresentationIntentType": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}
    path = write_mammogram(tmp_path / "1.dcm", tags=tags)
    assert read_attributes(path).presentation_intent == "FOR PROCESSING"
    with pytest.raises(DicomError, match="FOR PROCESSING"):
        read_mammogram(path)


def test_header_reading_needs_no_pixels_and_equals_the_full_read(tmp_path: Path) -> None:
    path = write_scanned_film(tmp_path / "film.dcm")
    whole = read_mammogram(path).attributes
    path.write_bytes(path.read_bytes()[:-40])
    assert read_attributes(path) == whole
    assert (whole.laterality, whole.view_position) == (Laterality.RIGHT, ViewPosition.MLO)


def test_a_missing_uid_and_patient_are_empty(tmp_path: Path) -> None:
    tags = {"SOPInstanceUID": None, "PatientID": None}
    path = write_bare(tmp_path / "1", mammogram_dataset(grey_ramp(), tags=tags))
    attributes = read_attributes(path)
    assert (attributes.sop_instance_uid, attributes.patient_id) == ("", "")


def test_an_attribute_that_cannot_be_read_names_file_and_remedy(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm")
    raw = path.read_bytes()
    # Bits Stored (0028,0101), explicit VR "US" rewritten to a text "LO" of two characters.
    path.write_bytes(raw.replace(b"\x28\x00\x01\x01US\x02\x00\x0e\x00", b"\x28\x00\x01\x01LO\x02\x00ab"))
    with pytest.raises(DicomError, match=r"1\.dcm: expected attributes of the mammography.*Correct the tag"):
        read_attributes(path)
