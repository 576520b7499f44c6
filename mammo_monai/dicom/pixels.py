"""A mammogram's grey values as a radiologist's screen would show them, as float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_monai.dicom.attributes import MammogramAttributes, attributes_of
from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.dicom.luts import GreyValues, apply_modality_lut, apply_voi_lut
from mammo_monai.dicom.reading import damage_refused, first_text, open_mammogram, refuse_for_processing
from mammo_monai.dicom.unquoted import AttributeValueError


@dataclass(frozen=True, eq=False)
class Mammogram:
    """Pixels ready for display, dense tissue bright.

    Attributes:
        pixels: shape (H, W), float32, within `output_range`.
        output_range: `(lo, hi)` the last LUT can put out: stored bits 14 and no LUT give (0, 16383) whatever
            the image holds, so that scaling by it does not depend on content.
        attributes: what the header says.
    """

    pixels: NDArray[np.float32]
    output_range: tuple[float, float]
    attributes: MammogramAttributes


@dataclass(frozen=True, eq=False)
class StoredMammogram:
    """Stored bits with the table that says how they are shown.

    Attributes:
        patterns: shape (H, W), uint8 or uint16: bit patterns as stored.
        values: what each pattern shows as, shape (256,) or (65536,), in the unit of `output_range`.
        output_range, attributes: see `Mammogram`.
    """

    patterns: NDArray[np.unsignedinteger]
    values: NDArray[np.float64]
    output_range: tuple[float, float]
    attributes: MammogramAttributes


def read_mammogram(path: Path | str, *, require_presentation: bool = True) -> Mammogram:
    """Reads a mammogram: decode → modality LUT → VOI LUT → MONOCHROME1 inverted.

    The first VOI LUT is used, else the first window, else none. MONOCHROME1 is inverted over the output range
    of the last LUT. Pixels with the Pixel Padding Value (or in its range) are background: they become the
    lowest value of the output range. Presentation LUT Shape is not read: MONOCHROME1 and INVERSE say the
    same thing (PS3.3 C.8.11.3.1.2), and applying both would undo it.

    Args:
        path: a DICOM file, with or without preamble.
        require_presentation: refuse FOR PROCESSING. A missing intent is accepted: scanned films have none.

    Raises:
        DicomError: not a readable, single-frame, grey mammogram; FOR PROCESSING; no pixels; a transfer syntax
            without a decoder (the message names the package); broken LUTs.

    Source: DICOM PS3.3 C.7.6.3.1.2 (photometric), C.11.1 and C.11.2 (LUTs), C.7.5.1.1.2 (padding).
    """
    stored = read_stored(path, require_presentation=require_presentation)
    return Mammogram(_shown(stored.patterns, stored.values), stored.output_range, stored.attributes)


def read_stored(path: Path | str, *, require_presentation: bool = True) -> StoredMammogram:
    """What `read_mammogram` shows, before the table is applied to every pixel; same errors.

    For those who need the values in another type, or of part of the image: a table of 65536 entries is turned
    into them a hundred times faster than an image.
    """
    path = Path(path)
    dataset = open_mammogram(path, headers_only=False)
    if require_presentation:
        refuse_for_processing(path, dataset)
    return stored_of(path, dataset)


def stored_of(path: Path, dataset: Dataset) -> StoredMammogram:
    """What `read_stored` gives, of a data set that is already open; `path` serves messages.

    Raises:
        DicomError: no pixels, a transfer syntax without a decoder, or broken LUTs.
    """
    attributes = attributes_of(path, dataset)
    stored = decode_stored_values(path, dataset)
    expected = "LUTs, windows and bit depths as in PS3.3 C.7.6.3 and C.11"
    patterns = stored.view(f"u{stored.dtype.itemsize}")
    with damage_refused(path, expected, "Correct the tag, or export the image again."):
        display = _display_values(dataset, n_bits_below=_bits_below(patterns, dataset))
    return StoredMammogram(patterns, display.values, (display.low, display.high), attributes)


def _shown(patterns: NDArray[np.unsignedinteger], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Every stored pixel's entry in the table of all bit patterns, never through float64 at full size."""
    used = int(patterns.max()) + 1
    if np.array_equal(values[:used], np.arange(used)):  # no LUT changes anything: 6 ms a film instead of 36
        return patterns.astype(np.float32)
    return np.asarray(values.astype(np.float32)[patterns])


def _bits_below(patterns: NDArray[np.unsignedinteger], dataset: Dataset) -> int:
    """How many unused bits lie below the stored ones: High Bit says so, and the pixels do not contradict.

    Old files may hold 12 bits at the top of 16. Others only claim it: their pixels use the lowest bits.

    Source: DICOM PS3.5 8.1.1; since 2014 High Bit is one less than Bits Stored.
    """
    bits, high_bit = int(dataset.BitsStored), int(first_text(dataset, "HighBit") or -1)
    below = high_bit + 1 - bits
    if below <= 0 or high_bit >= int(dataset.BitsAllocated):
        return 0
    uses_lowest = bool((patterns & ((1 << below) - 1)).any())
    return 0 if uses_lowest or not int(patterns.max()) >> bits else below


def _display_values(dataset: Dataset, *, n_bits_below: int) -> GreyValues:
    """What every pattern of stored bits shows as; 65536 values stand for millions of pixels."""
    stored = _possible_values(dataset, n_bits_below)
    grey = apply_voi_lut(apply_modality_lut(stored, dataset), dataset)
    values = grey.values
    if first_text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1":
        # Over the LUT's output range, not the image's own maximum: contrast must not depend on content.
        values = grey.high + grey.low - values
    padding = _is_padding(stored, dataset)
    return GreyValues(np.where(padding, grey.low, values), grey.low, grey.high)


def _possible_values(dataset: Dataset, n_bits_below: int) -> GreyValues:
    """Value of every bit pattern 0 … 2^BitsAllocated − 1: bits around Bits Stored cut off, sign extended."""
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in (8, 16) or not 1 <= bits <= allocated:
        raise AttributeValueError(
            f"Bits Allocated 8 or 16 and Bits Stored within, got {allocated} and {bits}"
        )
    patterns = (np.arange(1 << allocated) >> n_bits_below) & ((1 << bits) - 1)
    if int(first_text(dataset, "PixelRepresentation") or 0) == 0:
        return GreyValues(patterns.astype(np.float64), 0.0, float((1 << bits) - 1))
    half = 1 << (bits - 1)
    return GreyValues(
        (((patterns + half) & ((1 << bits) - 1)) - half).astype(np.float64), -float(half), half - 1.0
    )


def _is_padding(stored: GreyValues, dataset: Dataset) -> NDArray[np.bool_]:
    """Which patterns are padding; a value written as US beside signed pixels, as many do, is negative."""
    value = first_text(dataset, "PixelPaddingValue")
    if not value:
        return np.zeros(stored.values.shape, dtype=np.bool_)
    ends = [float(value), float(first_text(dataset, "PixelPaddingRangeLimit") or value)]
    if stored.low < 0:
        ends = [each - len(stored.values) if each > stored.high else each for each in ends]
    low, high = sorted(ends)
    return (stored.values >= low) & (stored.values <= high)
