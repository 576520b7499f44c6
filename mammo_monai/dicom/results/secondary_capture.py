"""Secondary Capture: the image as shown with boxes and captions burned in, for systems that show no other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from mammo_monai.dicom.pixels import StoredMammogram, stored_of
from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.content_tree import sop_reference
from mammo_monai.dicom.results.headers import ResultFacts, SeriesFacts, new_result
from mammo_monai.dicom.results.marked_image import CheckedImage
from mammo_monai.dicom.results.presentation_state import footer_text

SERIES = SeriesFacts(SecondaryCaptureImageStorage, "MG", 9104, "Marks (burned in), not for diagnosis", True)
LONGER_SIDE_PX = 2048
_AMBER, _BLACK = (255, 190, 60), (0, 0, 0)
_SMALLEST_FONT, _SMALLEST_STRIP_PX = 8, 16


def secondary_capture(
    marked: CheckedImage, pixels_from: Dataset, facts: ResultFacts, *, longer_side_px: int | None
) -> Dataset:
    """The marks of one image drawn into a copy of it, RGB, with "not for diagnosis" along its lower border.

    Args:
        pixels_from: the image's data set with its pixels.
        longer_side_px: the picture is made smaller to this; None keeps its size. It is never enlarged.

    Raises:
        DicomError: no pixels, or none that can be decoded.

    Source: DICOM PS3.3 A.8.1, C.8.6.1 (Conversion Type), C.7.6.1 (Burned In Annotation).
    """
    picture = _drawn(marked, stored_of(Path(marked.name), pixels_from), facts, longer_side_px)
    result = new_result([marked], facts, SERIES)
    result.ConversionType = "WSD"
    result.SecondaryCaptureDeviceManufacturer = result.Manufacturer
    result.SecondaryCaptureDeviceManufacturerModelName = result.ManufacturerModelName
    result.SecondaryCaptureDeviceSoftwareVersions = result.SoftwareVersions
    result.DateOfSecondaryCapture, result.TimeOfSecondaryCapture = result.ContentDate, result.ContentTime
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.BurnedInAnnotation = "YES"
    result.DerivationDescription = f"{footer_text(marked, facts)}. {'; '.join(facts.parameters)}"[:1024]
    result.DerivationCodeSequence = codes.code_sequence(codes.MARKS_OVERLAY)
    result.SourceImageSequence = Sequence([sop_reference(marked.sop_class_uid, marked.uid)])
    result.PatientOrientation = marked.orientation
    _add_pixels(result, picture)
    return result


def _add_pixels(result: Dataset, picture: NDArray[np.uint8]) -> None:
    result.Rows, result.Columns = picture.shape[:2]
    result.SamplesPerPixel, result.PhotometricInterpretation, result.PlanarConfiguration = 3, "RGB", 0
    result.BitsAllocated = result.BitsStored = 8
    result.HighBit, result.PixelRepresentation = 7, 0
    result.LossyImageCompression = "00"
    raw = picture.tobytes()
    result.PixelData = raw + b"\0" * (len(raw) % 2)
    result["PixelData"].VR = "OB"


def _drawn(
    marked: CheckedImage, stored: StoredMammogram, facts: ResultFacts, longer_side_px: int | None
) -> NDArray[np.uint8]:
    """The picture, shape (H + strip, W, 3): nothing of the image is hidden by the words below it."""
    grey = Image.fromarray(_grey(stored))
    height, width = marked.attributes.rows, marked.attributes.columns
    scale = min(1.0, (longer_side_px or max(height, width)) / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != grey.size:
        grey = grey.resize(size, Image.Resampling.LANCZOS)
    strip = max(_SMALLEST_STRIP_PX, max(size) // 40)
    picture = Image.new("RGB", (size[0], size[1] + strip), _BLACK)
    picture.paste(grey, (0, 0))
    draw = ImageDraw.Draw(picture)
    line = max(1, max(size) // 500)
    scales = (size[0] / width, size[1] / height) * 2
    for n, box in enumerate(marked.boxes * scales):
        _draw_box(draw, box.tolist(), marked.caption(n), line, size[0])
    words = footer_text(marked, facts)
    draw.text(
        (line, size[1] + line), words, fill=_AMBER, font=_fitting_font(draw, words, size[0], strip - 2 * line)
    )
    return np.asarray(picture)


def _grey(stored: StoredMammogram) -> NDArray[np.uint8]:
    """Shape (H, W): the output range of the last LUT, never that of the content, over 0 to 255."""
    low, high = stored.output_range
    share = (stored.values - low) / max(high - low, 1.0)
    return np.asarray(np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)[stored.patterns])


def _draw_box(draw: ImageDraw.ImageDraw, box: list[float], caption: str, line: int, width: int) -> None:
    """The line lies outside the box, a dark one around it, so that nothing inside is hidden.

    Where the picture ends with the box, the line lies within it: at the chest wall a box stays closed.
    """
    x_min, y_min, x_max, y_max = (*map(math.floor, box[:2]), *map(math.ceil, box[2:]))
    outer = (
        max(x_min - line, 0),
        max(y_min - line, 0),
        min(x_max + line, width) - 1,
        y_max + line - 1,
    )
    halo = (outer[0] - 1, outer[1] - 1, outer[2] + 1, outer[3] + 1)
    draw.rectangle(halo, outline=_BLACK, width=line + 1)
    draw.rectangle(outer, outline=_AMBER, width=line)
    font = ImageFont.load_default(size=8 + 8 * line)
    left, top, right, bottom = draw.textbbox((0, 0), caption, font=font)
    x = max(0.0, min(x_min, draw.im.size[0] - (right - left)))
    y = y_min - 2 * line - bottom
    draw.text(
        (x, y if y >= 0 else y_max + 2 * line - top),
        caption,
        fill=_AMBER,
        font=font,
        stroke_width=1,
        stroke_fill=_BLACK,
    )


def _fitting_font(
    draw: ImageDraw.ImageDraw, words: str, width: int, height: int
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest font in which the words fit; the smallest one where none does."""
    sizes = range(max(int(height * 0.8), _SMALLEST_FONT), _SMALLEST_FONT, -1)
    for size in sizes:
        font = ImageFont.load_default(size=size)
        if draw.textlength(words, font=font) <= width:
            return font
    return ImageFont.load_default(size=_SMALLEST_FONT)
