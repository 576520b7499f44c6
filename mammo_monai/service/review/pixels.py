"""Grey values of the images for the page: as a screen shows them, 16 bits, in halving sizes, cached."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.dicom.pixels import read_stored
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.dicom.reading import open_mammogram

MAX_LEVEL = 6
_WHITEST = 65535
_CACHED_BYTES = 400_000_000
_BRIGHTEST_SHARE = 0.998  # a burnt-in label must not darken the breast
_SAMPLE_LEVEL = 3
Grey16 = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class GreyImage:
    """An image of one size.

    Attributes:
        values: shape (H, W), uint16; 0 and 65535 are the ends of `output_range`.
        output_range: what 0 and 65535 stand for, in the unit of the file's last LUT.
        window: `(low, high)` to show at first, of 0 to 65535.
    """

    values: Grey16
    output_range: tuple[float, float]
    window: tuple[int, int]


class PixelCache:
    """Images in halving sizes, made when asked for, kept while there is room; for many threads.

    Args:
        path_of: an image's file, by its number. max_bytes: of all images kept.
    """

    def __init__(self, path_of: Callable[[int], Path], *, max_bytes: int = _CACHED_BYTES) -> None:
        self._path_of = path_of
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[int, int], GreyImage] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._making: dict[int, threading.Lock] = {}

    def image(self, number: int, level: int) -> GreyImage:
        """The image with 2^level × 2^level pixels averaged into one, from 0 to `MAX_LEVEL`.

        Raises:
            ValueError: another level.
            DicomError, OSError: the file cannot be read.
        """
        if not 0 <= level <= MAX_LEVEL:
            raise ValueError(f"level must lie in [0, {MAX_LEVEL}], got {level}.")
        with self._lock:
            making = self._making.setdefault(number, threading.Lock())
        with making:  # two panes may ask for one film at once; it is decoded once
            if (found := self._found(number, level)) is not None:
                return found
            whole = self._found(number, 0) or self._keep(number, 0, read_grey(self._path_of(number)))
            return whole if level == 0 else self._keep(number, level, halved(whole, level))

    def _found(self, number: int, level: int) -> GreyImage | None:
        with self._lock:
            if (number, level) in self._kept:
                self._kept.move_to_end((number, level))
            return self._kept.get((number, level))

    def _keep(self, number: int, level: int, image: GreyImage) -> GreyImage:
        with self._lock:
            self._kept[number, level] = image
            self._bytes += image.values.nbytes
            while self._bytes > self._max_bytes and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.values.nbytes
        return image


def read_grey(path: Path) -> GreyImage:
    """An image at full size: DICOM through modality and VOI LUT, everything else as Pillow reads it.

    The window at first is the header's where it has one (the VOI LUT fills the range), else from the lowest
    value to the one that 99.8 % of the pixels stay below.

    Raises:
        DicomError: no mammogram for presentation, or damaged. OSError: no image.
    """
    if path.suffix.lower() in (".dcm", ".dicom") or is_dicom(path):
        return _dicom_grey(path)
    with Image.open(path) as picture:
        is_grey = picture.mode in ("L", "F", "I") or picture.mode.startswith("I;16")
        pixels = np.asarray(picture if is_grey else picture.convert("L"))
    low, high = _range_of(pixels)
    scaled = (pixels.astype(np.float32) - low) * (_WHITEST / ((high - low) or 1.0))
    values = np.clip(np.rint(scaled), 0, _WHITEST).astype(np.uint16)
    return GreyImage(values, (low, high), _first_window(values))


def halved(image: GreyImage, level: int) -> GreyImage:
    """The image with blocks of 2^level pixels averaged; the last row and column are repeated to fill blocks.

    >>> small = halved(GreyImage(np.array([[0, 2, 9]], dtype=np.uint16), (0.0, 1.0), (0, 9)), 1)
    >>> small.values.tolist()
    [[1, 9]]
    """
    block = 1 << level
    rows, columns = (-(-side // block) for side in image.values.shape)
    height, width = image.values.shape
    filled = np.pad(image.values, ((0, rows * block - height), (0, columns * block - width)), mode="edge")
    # Rows first, as whole lines: memory is read in order, four times as fast as a mean over blocks.
    sums = np.add.reduce(filled.reshape(rows, block, columns * block), axis=1, dtype=np.uint32)
    sums = np.add.reduce(sums.reshape(rows, columns, block), axis=2, dtype=np.uint32)
    values = ((sums + (block * block) // 2) >> (2 * level)).astype(np.uint16)
    return GreyImage(values, image.output_range, image.window)


def _dicom_grey(path: Path) -> GreyImage:
    stored = read_stored(path)
    low, high = stored.output_range
    table = np.clip(np.rint((stored.values - low) * (_WHITEST / ((high - low) or 1.0))), 0, _WHITEST)
    values: Grey16 = table.astype(np.uint16)[stored.patterns]
    header = open_mammogram(path, headers_only=True)
    has_window = "VOILUTSequence" in header or "WindowCenter" in header
    return GreyImage(values, (low, high), (0, _WHITEST) if has_window else _first_window(values))


def _range_of(pixels: NDArray[np.generic]) -> tuple[float, float]:
    """The type's range for 8 and 16 bits without a sign, else the image's own."""
    if pixels.dtype == np.bool_:
        return 0.0, 1.0
    if pixels.dtype in (np.uint8, np.uint16):
        return 0.0, float((1 << (8 * pixels.dtype.itemsize)) - 1)
    return float(np.min(pixels)), float(np.max(pixels))


def _first_window(values: Grey16) -> tuple[int, int]:
    sample = values[:: 1 << _SAMPLE_LEVEL, :: 1 << _SAMPLE_LEVEL]
    low, high = int(sample.min()), int(np.quantile(sample, _BRIGHTEST_SHARE))
    return (low, high) if high > low else (0, _WHITEST)
