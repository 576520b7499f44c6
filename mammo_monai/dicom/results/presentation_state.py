"""Grayscale Softcopy Presentation State: boxes and captions over the image, which stays as it looks."""

from __future__ import annotations

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage
from pydicom.valuerep import format_number_as_ds

from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.content_tree import sop_reference
from mammo_monai.dicom.results.headers import (
    AMBER_CIELAB,
    NOT_FOR_DIAGNOSIS_TEXT,
    ResultFacts,
    SeriesFacts,
    long_string,
    new_result,
)
from mammo_monai.dicom.results.marked_image import CheckedImage
from mammo_monai.dicom.results.report_header import outline
from mammo_monai.words import counted

SERIES = SeriesFacts(
    GrayscaleSoftcopyPresentationStateStorage, "PR", 9103, "Marks (overlay), not for diagnosis", True
)
_LAYER = "MARKS"
_WHITE = 65535  # where there is no colour
_CAPTION_SHARE = 1 / 50  # of the image's height
_CAPTION_WIDTH_SHARE = 1 / 4  # of its width


def presentation_state(marked: CheckedImage, facts: ResultFacts) -> Dataset:
    """The marks of one image as graphics in pixels of that image.

    A presentation state replaces the image's own grey-scale transformations, so these are copied: modality
    LUT, VOI LUT or windows, and MONOCHROME1 as an inverse presentation LUT. The displayed area is the whole
    image.

    Source: DICOM PS3.3 A.33.1, C.10.4, C.10.5 (origin 0\\0 at the outer corner of the first pixel), C.11.6;
    PS3.4 N.2.
    """
    result = new_result([marked], facts, SERIES)
    result.ContentLabel, result.ContentDescription = _LAYER, "Marks, not for diagnosis"
    result.ContentCreatorName = facts.observer or ""
    result.ConceptNameCodeSequence = codes.code_sequence(codes.MARKS_OVERLAY)
    result.PresentationCreationDate, result.PresentationCreationTime = result.ContentDate, result.ContentTime
    del result.ContentDate, result.ContentTime
    series = Dataset()
    series.SeriesInstanceUID = marked.source.SeriesInstanceUID
    series.ReferencedImageSequence = _image_reference(marked)
    result.ReferencedSeriesSequence = Sequence([series])
    result.DisplayedAreaSelectionSequence = Sequence([_whole_image(marked)])
    result.GraphicLayerSequence = Sequence([_layer()])
    annotation = Dataset()
    annotation.ReferencedImageSequence = _image_reference(marked)
    annotation.GraphicLayer = _LAYER
    if len(marked.boxes):
        annotation.GraphicObjectSequence = Sequence([_graphic(box.tolist()) for box in marked.boxes])
    captions = [_caption(marked, n) for n in range(len(marked.boxes))]
    annotation.TextObjectSequence = Sequence([*captions, _footer(marked, facts)])
    result.GraphicAnnotationSequence = Sequence([annotation])
    _copy_greyscale(marked.source, result)
    return result


def footer_text(marked: CheckedImage, facts: ResultFacts) -> str:
    """One line for people: what it is for, who marked, how many marks there are."""
    n_marks = len(marked.boxes)
    marks = "nothing marked" if not n_marks else counted(n_marks, "mark")
    reviewed = ", reviewed" if facts.is_reviewed else ""
    model = long_string(f"{facts.model.name} {facts.model.version}")
    return f"{NOT_FOR_DIAGNOSIS_TEXT} - {model}: {marks}{reviewed}"


def _image_reference(marked: CheckedImage) -> Sequence:
    return Sequence([sop_reference(marked.sop_class_uid, marked.uid)])


def _whole_image(marked: CheckedImage) -> Dataset:
    """From the first pixel, 1\\1, to the last; spacing where known, else the ratio of the pixels."""
    area, attributes = Dataset(), marked.attributes
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [attributes.columns, attributes.rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    if attributes.pixel_spacing_mm is not None:
        area.PresentationPixelSpacing = [format_number_as_ds(each) for each in attributes.pixel_spacing_mm]
    else:
        area.PresentationPixelAspectRatio = _aspect_ratio(marked.source)
    return area


def _aspect_ratio(source: Dataset) -> list[int]:
    """Pixel Aspect Ratio of the image, vertical and horizontal; square where it says none."""
    try:
        vertical, horizontal = (int(str(each)) for each in source.get("PixelAspectRatio"))
    except (TypeError, ValueError):
        return [1, 1]
    return [vertical, horizontal] if min(vertical, horizontal) > 0 else [1, 1]


def _layer() -> Dataset:
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = _LAYER, 1
    layer.GraphicLayerDescription = "Marks, not for diagnosis"
    layer.GraphicLayerRecommendedDisplayGrayscaleValue = _WHITE
    layer.GraphicLayerRecommendedDisplayCIELabValue = list(AMBER_CIELAB)
    return layer


def _graphic(box: list[float]) -> Dataset:
    graphic = Dataset()
    graphic.GraphicAnnotationUnits = "PIXEL"
    graphic.GraphicDimensions = 2
    graphic.GraphicData = outline(box)
    graphic.NumberOfGraphicPoints = len(graphic.GraphicData) // 2
    graphic.GraphicType, graphic.GraphicFilled = "POLYLINE", "N"
    return graphic


def _caption(marked: CheckedImage, n: int) -> Dataset:
    """The caption in a strip above its box, below it where there is no room, and always inside the image."""
    rows, columns = marked.attributes.rows, marked.attributes.columns
    x_min, y_min, _, y_max = marked.boxes[n].tolist()
    height, width = rows * _CAPTION_SHARE, columns * _CAPTION_WIDTH_SHARE
    left = min(x_min, columns - width)
    top = y_min - height if y_min >= height else min(y_max, rows - height)
    return _text(marked.caption(n), "PIXEL", (left, top), (left + width, top + height))


def _footer(marked: CheckedImage, facts: ResultFacts) -> Dataset:
    """Along the lower border of what is displayed, however it is zoomed."""
    return _text(footer_text(marked, facts), "DISPLAY", (0.0, 0.97), (1.0, 1.0))


def _text(words: str, units: str, corner: tuple[float, float], opposite: tuple[float, float]) -> Dataset:
    item = Dataset()
    item.BoundingBoxAnnotationUnits = units
    item.UnformattedTextValue = words
    item.BoundingBoxTopLeftHandCorner = list(corner)
    item.BoundingBoxBottomRightHandCorner = list(opposite)
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    return item


def _copy_greyscale(source: Dataset, result: Dataset) -> None:
    """The image's own transformations, so that it looks the same with the overlay and without."""
    if source.get("ModalityLUTSequence"):
        _copy_luts(source, result, "ModalityLUTSequence")
    elif first_text(source, "RescaleSlope") and first_text(source, "RescaleIntercept"):
        _copy(source, result, ("RescaleIntercept", "RescaleSlope", "RescaleType"))
        if "RescaleType" not in result:
            result.RescaleType = "US"  # unspecified: required here, optional in images (PS3.3 C.11.1.1.2)
    voi = Dataset()
    if source.get("VOILUTSequence"):
        _copy_luts(source, voi, "VOILUTSequence")
    if first_text(source, "WindowCenter") and first_text(source, "WindowWidth"):
        windows = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
        _copy(source, voi, windows)
    if len(voi):
        result.SoftcopyVOILUTSequence = Sequence([voi])
    is_inverse = first_text(source, "PhotometricInterpretation").upper() == "MONOCHROME1"
    result.PresentationLUTShape = "INVERSE" if is_inverse else "IDENTITY"


def _copy(source: Dataset, target: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if source.get(keyword) not in (None, ""):
            target[keyword] = source[keyword]


def _copy_luts(source: Dataset, target: Dataset, keyword: str) -> None:
    """The LUTs of an image; what it holds as words in big endian is turned: the copy is little endian."""
    is_big = source.original_encoding[1] is False
    items = Sequence()
    for lut in source[keyword].value:
        item = Dataset()
        item.update({each.tag: each for each in lut})
        if is_big and isinstance(lut.LUTData, bytes):
            turned = np.frombuffer(lut.LUTData, dtype=">u2").astype("<u2").tobytes()
            item["LUTData"] = DataElement(lut["LUTData"].tag, "OW", turned)
        items.append(item)
    setattr(target, keyword, items)
