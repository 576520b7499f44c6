"""Grey-scale transformations of DICOM: modality LUT, then VOI LUT, each with the range of its output.

Pure functions on float64 values; `pixels` applies them once to every possible stored value.
Where the LUTs end, so does a value's meaning: `lo` and `hi` are what a transformation can put out at most,
never what one image happens to hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.unquoted import AttributeValueError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class GreyValues:
    """Values after a transformation, with the lowest and highest it can put out."""

    values: Values
    low: float
    high: float


def apply_modality_lut(stored: GreyValues, dataset: Dataset) -> GreyValues:
    """Modality LUT Sequence if there is one, else Rescale Slope and Intercept, else nothing.

    The range is that of the stored bits carried through; a negative slope is allowed.

    Raises:
        ValueError: a slope of zero, or a LUT that is not as long as its descriptor says.

    Source: DICOM PS3.3 C.11.1.
    """
    if dataset.get("ModalityLUTSequence"):
        return _look_up(stored, dataset.ModalityLUTSequence[0], dataset)
    slope = float(first_text(dataset, "RescaleSlope") or 1.0)
    intercept = float(first_text(dataset, "RescaleIntercept") or 0.0)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise AttributeValueError(
            f"Rescale Slope must be finite and not 0, got {slope} (intercept {intercept})"
        )
    ends = sorted((stored.low * slope + intercept, stored.high * slope + intercept))
    return GreyValues(stored.values * slope + intercept, *ends)


def apply_voi_lut(grey: GreyValues, dataset: Dataset) -> GreyValues:
    """First VOI LUT if there is one, else the first window, else nothing.

    A LUT comes before a window because it was made for this image by the vendor's own processing. A window
    maps onto the range of the modality output, as pydicom's does; a LUT onto 0 … 2^bits − 1 by its
    descriptor.

    Raises:
        ValueError: a broken LUT, a window width the function does not allow, or an unknown VOI LUT Function.

    Source: DICOM PS3.3 C.11.2, C.8.11.3.1.5.
    """
    if dataset.get("VOILUTSequence"):
        return _look_up(grey, dataset.VOILUTSequence[0], dataset)
    center, width = first_text(dataset, "WindowCenter"), first_text(dataset, "WindowWidth")
    if not (center and width):
        return grey
    function = first_text(dataset, "VOILUTFunction").upper() or "LINEAR"
    share = _window_share(grey.values, float(center), float(width), function)
    return GreyValues(share * (grey.high - grey.low) + grey.low, grey.low, grey.high)


def _window_share(values: Values, center: float, width: float, function: str) -> Values:
    """Position in the window, 0 to 1.

    Source: DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    least = 1.0 if function == "LINEAR" else 0.0
    if not np.isfinite([center, width]).all() or width < least or width <= 0:
        raise AttributeValueError(
            f"Window Width must be at least 1 (LINEAR) or above 0, got {width} (centre {center})"
        )
    if function == "LINEAR":
        # Width 1 is a step at centre − 0.5; the quotient is replaced there so that nothing divides by zero.
        share = (values - (center - 0.5)) / (width - 1) + 0.5 if width > 1 else values > center - 0.5
    elif function == "LINEAR_EXACT":
        share = (values - center) / width + 0.5
    elif function == "SIGMOID":
        share = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    else:
        raise AttributeValueError(
            "VOI LUT Function must be LINEAR, LINEAR_EXACT or SIGMOID, got another term"
        )
    return np.clip(np.asarray(share, dtype=np.float64), 0.0, 1.0)


def _look_up(grey: GreyValues, item: Dataset, dataset: Dataset) -> GreyValues:
    """Values through a LUT: below its first input the first entry, above its last the last entry.

    Values between two inputs (after a fractional rescale) take the nearest entry.
    """
    descriptor = [int(number) for number in item.LUTDescriptor]
    if len(descriptor) != 3:
        raise AttributeValueError(f"LUT Descriptor must hold 3 numbers, got {len(descriptor)}")
    # The count is unsigned whatever the VR (PS3.3 C.11.1.1.1); as SS a count above 32767 reads as negative.
    count, first, bits = descriptor[0] % 65536 or 65536, descriptor[1], descriptor[2]
    if grey.low < 0 and first > 32767:
        first -= 65536  # written as unsigned beside signed values: (0028,3002) is US or SS
    table = _lut_entries(item, count, dataset)
    indices = np.clip(np.rint(grey.values) - first, 0, count - 1).astype(np.int64)
    # Some writers store more bits than they declare; the range must still hold every entry.
    high = max(2**bits, 1 << int(table.max()).bit_length()) - 1
    return GreyValues(table[indices].astype(np.float64), 0.0, float(high))


def _lut_entries(item: Dataset, count: int, dataset: Dataset) -> NDArray[np.integer]:
    """Entries of LUT Data (US, SS or OW), one or two bytes each, shape (count,)."""
    order = ">" if dataset.original_encoding[1] is False else "<"
    data = item.LUTData
    if not isinstance(data, (bytes, bytearray)):
        words = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
        data = words.astype(f"{order}u2").tobytes()
    if len(data) == 2 * count:
        return np.frombuffer(data, dtype=f"{order}u2")
    if len(data) == count + count % 2:
        return np.frombuffer(data, dtype=np.uint8)[:count]
    raise AttributeValueError(f"LUT Data must hold {count} entries of 8 or 16 bits, got {len(data)} bytes")
