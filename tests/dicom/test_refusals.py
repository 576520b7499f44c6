from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BreastProjectionXRayImageStorageForPresentation,
    BreastTomosynthesisImageStorage,
    CTImageStorage,
    SecondaryCaptureImageStorage,
)

from mammo_monai.dicom.attributes import read_attributes
from mammo_monai.dicom.pixels import read_stored
from mammo_monai.dicom.refusal_codes import ACCEPTABLE, REASONS, check_accepted
from mammo_monai.dicom.refusals import warnings_of_file
from mammo_monai.errors import DicomError, UnsuitableImageError
from tests.dicom_factory import grey_ramp, write_mammogram

SHAPE = (420, 510)


def coded(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "in words"
    return item


def view_with(modifier: str) -> Sequence:
    view = coded("399162004")
    view.ViewModifierCodeSequence = Sequence([coded(modifier)])
    return Sequence([view])


def film(tmp_path: Path, **tags: object) -> Path:
    sop_class = tags.pop("sop_class", None)
    options: dict[str, object] = {} if sop_class is None else {"sop_class": sop_class}
    return write_mammogram(tmp_path / "Doe^Jane.dcm", grey_ramp(SHAPE), tags=tags, **options)


def marked(path: Path) -> None:
    """What marking does with a file: its header is looked at, its pixels are read."""
    warnings_of_file(path)
    read_stored(path)


CAPTURE = {"sop_class": SecondaryCaptureImageStorage, "PresentationIntentType": None, "ConversionType": "WSD"}
REFUSED: list[tuple[str, Mapping[str, object]]] = [
    ("modality", {"Modality": "CT", "sop_class": CTImageStorage}),
    ("modality", {"Modality": "MR"}),
    ("modality", {"Modality": "US"}),
    ("modality", {"Modality": "SR"}),
    ("modality", {"Modality": "OT"}),
    ("several-frames", {"NumberOfFrames": 60}),
    ("several-frames", {"sop_class": BreastTomosynthesisImageStorage}),
    ("several-frames", {"sop_class": BreastProjectionXRayImageStorageForPresentation}),
    ("colour", {"PhotometricInterpretation": "RGB"}),
    ("for-processing", {"PresentationIntentType": "FOR PROCESSING"}),
    ("tomosynthesis-projection", {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ"]}),
    ("implant", {"BreastImplantPresent": "YES"}),
    ("specimen", {"ViewCodeSequence": Sequence([coded("127457009")])}),
    ("specimen", {"ViewCodeSequence": Sequence([coded("G-8310")])}),
    ("specimen", {"SpecimenDescriptionSequence": Sequence([Dataset()])}),
    ("quality-control", {"QualityControlImage": "YES"}),
    ("quality-control", {"QualityControlImage": "BOTH"}),
    ("marked-up", {**CAPTURE, "BurnedInAnnotation": "YES"}),
]
WARNED: list[tuple[str, Mapping[str, object]]] = [
    ("implant-displaced", {"BreastImplantPresent": "YES", "ViewCodeSequence": view_with("399209000")}),
    ("implant-displaced", {"BreastImplantPresent": "YES", "ViewCodeSequence": view_with("R-102D5")}),
    ("magnification", {"ViewCodeSequence": view_with("399163009")}),
    ("spot-compression", {"ViewModifierCodeSequence": Sequence([coded("R-102D7")])}),
    ("generated-2d", {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}),
    ("contrast-enhanced", {"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST", "", "LOW_ENERGY"]}),
    ("biopsy", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}),
    ("partial-view", {"PartialView": "YES"}),
    ("unlikely-spacing", {"ImagerPixelSpacing": [7.0, 7.0]}),
    ("other-modality", {**CAPTURE, "Modality": "OT", "BodyPartExamined": "BREAST"}),
]


@pytest.mark.parametrize(("code", "tags"), REFUSED)
def test_what_is_no_mammogram_to_mark_is_refused_with_its_code(
    tmp_path: Path, code: str, tags: Mapping[str, object]
) -> None:
    path = film(tmp_path, **tags)
    with pytest.raises(UnsuitableImageError, match=rf"expected .* got .*\(refusal {code}\)$") as caught:
        marked(path)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{path}: ")
    assert isinstance(caught.value, DicomError)


@pytest.mark.parametrize(("code", "tags"), [each for each in REFUSED if each[0] in ACCEPTABLE])
def test_an_accepted_refusal_becomes_a_warning(tmp_path: Path, code: str, tags: Mapping[str, object]) -> None:
    path = film(tmp_path, **tags)
    assert [text.split(":")[0] for text in warnings_of_file(path, [code])] == [f"accepted-{code}"]
    other = next(each for each in ACCEPTABLE if each != code)
    with pytest.raises(UnsuitableImageError):
        warnings_of_file(path, [other])


@pytest.mark.parametrize(("code", "tags"), WARNED)
def test_what_the_model_has_not_seen_is_warned_of(
    tmp_path: Path, code: str, tags: Mapping[str, object]
) -> None:
    path = film(tmp_path, **tags)
    assert [text.split(":")[0] for text in warnings_of_file(path)] == [code]
    assert code in read_attributes(path).reasons


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"BreastImplantPresent": "NO", "QualityControlImage": "NO", "PartialView": "NO"},
        {"ImageType": ["DERIVED", "PRIMARY", "", "LEFT"]},
        {**CAPTURE},
        {**CAPTURE, "BurnedInAnnotation": "YES", "ConversionType": "DF"},
        {"BurnedInAnnotation": "YES"},
    ],
)
def test_usual_mammograms_and_scanned_films_pass_without_a_word(
    tmp_path: Path, tags: Mapping[str, object]
) -> None:
    assert warnings_of_file(film(tmp_path, **tags)) == ()


def test_a_capture_with_graphics_over_it_is_marked_up(tmp_path: Path) -> None:
    path = film(tmp_path, **CAPTURE, ImageType=["DERIVED", "SECONDARY"])
    assert warnings_of_file(path) == ()
    dataset = dcmread(path)
    dataset.add_new(0x60003000, "OW", b"\0\0")
    dataset.save_as(path)
    with pytest.raises(UnsuitableImageError, match="graphics over it"):
        warnings_of_file(path)


def test_a_thumbnail_is_warned_of(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", np.zeros((410, 41), dtype=np.uint16))
    assert warnings_of_file(path)[0].startswith("small-image: 410 × 41 px (rows × columns)")


def test_no_value_of_a_patient_stands_in_a_refusal(tmp_path: Path) -> None:
    path = film(tmp_path, PatientName="Zqx^Vw", PatientID="Zqx-7", BreastImplantPresent="YES")
    with pytest.raises(UnsuitableImageError) as caught:
        warnings_of_file(path)
    assert "Zqx" not in str(caught.value)


def test_unknown_codes_and_those_nobody_can_accept_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 'implants'. Did you mean implant\?"):
        check_accepted(["implants"])
    with pytest.raises(ValueError, match="got 'modality'"):
        check_accepted(["modality"])


def test_every_reason_is_shown_here() -> None:
    shown = {code for code, _ in [*REFUSED, *WARNED]} | {"small-image"}
    assert set(REASONS) - shown == {"no-image", "untypical"}
