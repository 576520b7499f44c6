from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mammo_monai.dicom.results import build_result
from tests.dicom.results.sources import (
    BOXES,
    MODEL,
    detections,
    digital_mammogram,
    marked,
    nothing_marked,
)
from tests.dicom_factory import grey_ramp, lut_item, mammogram_dataset


def test_boxes_are_lines_in_pixels_of_the_image() -> None:
    source = digital_mammogram()
    state = build_result("gsps", [marked(source)], MODEL)
    (annotation,) = state.GraphicAnnotationSequence
    assert annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    for graphic, (x_min, y_min, x_max, y_max) in zip(annotation.GraphicObjectSequence, BOXES, strict=True):
        assert (graphic.GraphicAnnotationUnits, graphic.GraphicType) == ("PIXEL", "POLYLINE")
        assert graphic.NumberOfGraphicPoints == 5
        corners = [x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max, x_min, y_min]
        np.testing.assert_allclose(graphic.GraphicData, corners, rtol=1e-7)


def test_captions_lie_inside_the_image_and_the_warning_on_the_screen() -> None:
    at_the_top = detections(np.array([[20.0, 0.0, 30.0, 10.0], [0, 0, 30, 40]]))
    state = build_result("gsps", [marked(found=at_the_top)], MODEL)
    *captions, footer = state.GraphicAnnotationSequence[0].TextObjectSequence
    assert [each.UnformattedTextValue for each in captions] == ["Mass 1: score 0.83", "Mass 2: score 0.40"]
    for caption in captions:
        (left, top), (right, bottom) = (
            caption.BoundingBoxTopLeftHandCorner,
            caption.BoundingBoxBottomRightHandCorner,
        )
        assert caption.BoundingBoxAnnotationUnits == "PIXEL"
        assert 0 <= left < right <= 30
        assert 0 <= top < bottom <= 40
    assert captions[0].BoundingBoxTopLeftHandCorner[1] == 10  # below its box: above there is no room
    assert footer.UnformattedTextValue == "NOT FOR DIAGNOSIS - mass_bundle 1.2.0: 2 marks"
    assert footer.BoundingBoxAnnotationUnits == "DISPLAY"


def test_the_whole_image_is_displayed_in_its_own_proportions() -> None:
    (area,) = build_result("gsps", [marked()], MODEL).DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [30, 40]
    assert [float(each) for each in area.PresentationPixelSpacing] == [0.065, 0.065]
    film = digital_mammogram(PixelSpacing=None, ImagerPixelSpacing=None)
    (area,) = build_result("gsps", [marked(film)], MODEL).DisplayedAreaSelectionSequence
    assert list(area.PresentationPixelAspectRatio) == [1, 1]
    assert "PresentationPixelSpacing" not in area
    for told, expected in ((["3", "2"], [3, 2]), (["0", "2"], [1, 1]), (["2"], [1, 1])):
        film.PixelAspectRatio = told
        (area,) = build_result("gsps", [marked(film)], MODEL).DisplayedAreaSelectionSequence
        assert list(area.PresentationPixelAspectRatio) == expected


def test_windows_and_rescale_of_the_image_stay_in_force() -> None:
    windows = {"WindowCenter": ["8000", "9000"], "WindowWidth": ["100", "200"]}
    source = digital_mammogram(**windows, VOILUTFunction="SIGMOID", RescaleType=None)
    state = build_result("gsps", [marked(source)], MODEL)
    (voi,) = state.SoftcopyVOILUTSequence
    assert [float(each) for each in voi.WindowCenter] == [8000, 9000]
    assert voi.VOILUTFunction == "SIGMOID"
    assert (state.RescaleSlope, state.RescaleIntercept, state.RescaleType) == (1, 0, "US")
    assert state.PresentationLUTShape == "IDENTITY"


def test_tables_of_the_image_stay_in_force() -> None:
    table = lut_item(np.arange(4, dtype=np.uint16))
    source = digital_mammogram(VOILUTSequence=table, ModalityLUTSequence=table)
    state = build_result("gsps", [marked(source)], MODEL)
    assert list(state.SoftcopyVOILUTSequence[0].VOILUTSequence[0].LUTData) == [0, 1, 2, 3]
    assert len(state.ModalityLUTSequence) == 1
    assert "RescaleSlope" not in state


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_table_means_the_same_in_the_overlay_whatever_the_image_is_written_in(
    tmp_path: Path, syntax: UID, signed: bool, vr: str
) -> None:
    first, entries = (-100 if signed else 100), np.arange(300, dtype=np.uint16)
    item = lut_item(entries, first=first, bits=12, vr=vr)
    if vr == "OW":
        item[0].LUTData = entries.astype("<u2" if syntax.is_little_endian else ">u2").tobytes()
    image = mammogram_dataset(
        grey_ramp((40, 30), 12, signed=signed), bits_stored=12, syntax=syntax, tags={"VOILUTSequence": item}
    )
    whole = digital_mammogram()
    image.update({each.tag: each for each in whole if each.tag not in image})
    image.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    source = dcmread(tmp_path / "image.dcm")
    build_result("gsps", [marked(source)], MODEL).save_as(tmp_path / "pr.dcm", enforce_file_format=True)
    (table,) = dcmread(tmp_path / "pr.dcm").SoftcopyVOILUTSequence[0].VOILUTSequence
    assert list(table.LUTDescriptor) == [300, first, 12]
    data = table.LUTData
    assert list(np.frombuffer(data, "<u2") if isinstance(data, bytes) else data) == entries.tolist()


def test_an_image_without_transformations_gets_none() -> None:
    absent = dict.fromkeys(("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "RescaleType"))
    state = build_result("gsps", [marked(digital_mammogram(**absent))], MODEL)
    assert "SoftcopyVOILUTSequence" not in state
    assert "RescaleSlope" not in state


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_low_values_stay_bright_where_they_were(photometric: str, shape: str) -> None:
    source = digital_mammogram(PhotometricInterpretation=photometric)
    assert build_result("gsps", [marked(source)], MODEL).PresentationLUTShape == shape


def test_nothing_marked_is_written_on_the_image() -> None:
    state = build_result("gsps", [marked(found=nothing_marked())], MODEL, reviewed=True)
    (annotation,) = state.GraphicAnnotationSequence
    assert "GraphicObjectSequence" not in annotation
    (footer,) = annotation.TextObjectSequence
    assert footer.UnformattedTextValue.endswith("mass_bundle 1.2.0: nothing marked, reviewed")
    assert state.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99MAMMOMONAI"


def test_an_overlay_refers_to_no_other_image() -> None:
    state = build_result("gsps", [marked()], MODEL)
    (series,) = state.ReferencedSeriesSequence
    assert isinstance(series.ReferencedImageSequence, Sequence)
    assert len(series.ReferencedImageSequence) == 1
