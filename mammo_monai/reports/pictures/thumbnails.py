"""A small picture of one image for looking at, with the outline of its breast; or why there is none."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mammo_monai.errors import DicomError, MammoError
from mammo_monai.imaging import breast_region
from mammo_monai.reports.pictures.loading import ImageLoader, load_display_image
from mammo_monai.reports.pictures.outlines import Point, outline_of

logger = logging.getLogger(__name__)

_QUALITY = 82
_REGION_PX = 400  # stairs of the outline stay below a screen pixel at the size thumbnails are looked at
# An outline round all of the film, or round next to nothing of it, says nothing of the breast.
_OUTLINE_SHARE = (0.02, 0.97)
_BRIGHTEST_SHARE = 0.998
_CONSTANT_SHARE = 0.10


@dataclass(frozen=True)
class Thumbnail:
    """A grey JPEG, never for measuring.

    Attributes:
        width, height: of the JPEG. image_width, image_height: of the image it was made from, in pixels.
        outline: breast region as corners `(x, y)`, each in [0, 1] of width and height; empty where none was
            found.
    """

    jpeg: bytes
    width: int
    height: int
    image_width: int
    image_height: int
    outline: tuple[Point, ...] = ()


class PictureError(MammoError):
    """An image cannot be shown; the message says why in words that name no file."""


def load_any_image(path: Path) -> NDArray[np.float32]:
    """As `load_display_image`, also of images for processing: what was left out is looked at too."""
    return load_display_image(path, require_presentation=False)


def make_thumbnail(path: Path, *, size_px: int, load_image: ImageLoader = load_any_image) -> Thumbnail:
    """The whole image, its longer side at most `size_px`, with the outline of the breast.

    Grey values are stretched for each picture: white is the level that 99.8 % of the pixels stay below, so
    that a burnt-in label does not darken the breast.

    Args:
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].

    Raises:
        PictureError: no such file, no image, damaged, or no mammogram; the log says more at DEBUG.
    """
    try:
        return _thumbnail(load_image(path), size_px)
    except Exception as error:  # decoders raise whatever they meet in damaged bytes
        logger.debug("%s: %s: %s", path, type(error).__name__, error)
        raise PictureError(_reason(path, error)) from error


def _thumbnail(pixels: NDArray[np.float32], size_px: int) -> Thumbnail:
    height, width = pixels.shape
    small = _reduced(pixels, size_px)
    outline = _outline(small)
    stream = BytesIO()
    _eight_bit(small).save(stream, format="JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(stream.getvalue(), small.shape[1], small.shape[0], width, height, outline)


def _reason(path: Path, error: Exception) -> str:
    """One of a few sentences: a decoder's own message may hold a path, or an element of the header."""
    if isinstance(error, FileNotFoundError) or not path.exists():
        return "the file is not there"
    if isinstance(error, PermissionError):
        return "the file may not be read"
    if path.is_dir() or path.stat().st_size == 0:
        return "the file is empty" if path.is_file() else "a folder stands in its place"
    if isinstance(error, UnidentifiedImageError):
        return "the file holds no image of a known format"
    if isinstance(error, DicomError):
        return "the DICOM file is damaged, cut short, or no mammogram"
    return "the file is damaged or cut short"


def _reduced(pixels: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
    """Means of whole blocks first, then the exact size: far faster than one filter of the same smoothness.

    No filter with negative lobes: it would leave values below a detector's constant background.
    """
    height, width = pixels.shape
    scale = min(1.0, size_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    picture = picture.reduce(max(1, int(1 / scale) // 2))
    return np.asarray(picture.resize(size, Image.Resampling.HAMMING))


def _eight_bit(small: NDArray[np.float32]) -> Image.Image:
    low, white = float(small.min()), float(np.quantile(small, _BRIGHTEST_SHARE))
    high = white if white > low else float(small.max())
    grey = (small - low) / ((high - low) or 1.0) * 255.0 + 0.5
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def _outline(small: NDArray[np.float32]) -> tuple[Point, ...]:
    height, width = small.shape
    step = max(1, round(max(height, width) / _REGION_PX))
    sample = small[::step, ::step]
    # Digital detectors have a background of one value, scanned film never has.
    is_digital = float(np.mean(sample < sample.min() + 1e-5)) > _CONSTANT_SHARE
    region = breast_region(sample, "global" if is_digital else "otsu")
    if not _OUTLINE_SHARE[0] < float(region.mean()) < _OUTLINE_SHARE[1]:
        return ()
    rows, columns = region.shape
    return tuple((round(x / columns, 4), round(y / rows, 4)) for x, y in outline_of(region))
