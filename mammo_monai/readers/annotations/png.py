"""Masks as pictures (PNG, TIFF, BMP, JPG) named like their images: `a_mask.png`, `masks/a.png`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, name_below
from mammo_monai.readers.annotations.mask_lesions import check_mask_size, lesions_of_mask, without_grey
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import Lesion
from mammo_monai.schema import Action

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
_LOSSY = ("JPEG", "MPO")
_FOLDERS = "mask masks label labels segmentation segmentations seg roi rois annotation annotations gt"
FOLDERS = frozenset((*_FOLDERS.split(), "ground_truth", "groundtruth"))
_ENDING = re.compile(
    r"(?P<image>.+?)[ ._-](?:mask|label|segmentation|seg|roi|gt|annotation)s?[ ._-]?\d*", re.IGNORECASE
)
_BEGINNING = re.compile(r"(?:mask|segmentation|seg)[ ._-](?P<image>.+)", re.IGNORECASE)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


def is_mask(relative: PurePosixPath) -> bool:
    """Whether a picture is a mask by its own name or its folder's.

    >>> is_mask(PurePosixPath("p1/left_mask.png")), is_mask(PurePosixPath("p1/left.png"))
    (True, False)
    >>> is_mask(PurePosixPath("p1/mask_left.png"))
    True
    """
    if relative.suffix.lower() not in SUFFIXES:
        return False
    in_folder = any(part.lower() in FOLDERS for part in relative.parent.parts)
    return in_folder or len(image_names(relative.stem)) > 1


def image_names(name: str) -> tuple[str, ...]:
    """The names an image of a mask may have: its own, then without the ending or beginning that says mask.

    >>> image_names("masks/left_mask_2")
    ('masks/left_mask_2', 'masks/left')
    """
    path = PurePosixPath(name)
    match = _ENDING.fullmatch(path.name) or _BEGINNING.fullmatch(path.name)
    return (name, str(path.with_name(match["image"]))) if match else (name,)


def read_png(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per mask; the pixels are read when the image is.

    A binary mask marks lesions by its connected parts, whatever its value. A mask of several values marks
    lesions of several kinds, or one lesion each. Smoothed edges and JPEG noise are cut at half the maximum.
    """
    return [
        AnnotatedImage(image_names(name_below(path, base)), str(path), partial(_lesions, path), is_part=True)
        for path in files
    ]


def _lesions(path: Path, target: Target) -> list[Lesion]:
    where = str(path)
    try:
        with Image.open(path) as picture:
            check_mask_size(picture.size, target, where)
            _refuse_several_pages(picture, where)
            is_lossy = picture.format in _LOSSY
            pixels = _values(picture, where)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        found = "the mask is no readable picture"
        raise InvalidRecordError("mask-unreadable", where, found, f"{error}. Copy it again.") from error
    sharp = without_grey(pixels)
    if sharp is None and is_lossy and np.count_nonzero(np.unique(pixels)) > 1:
        found = "a JPEG mask holds several values: compression has changed them, and their edges"
        raise InvalidRecordError("mask-values", where, found, "Save it as PNG from where it was drawn.")
    if sharp is not None:
        found = "a mask with smoothed edges was cut at half its maximum"
        target.audit.note("mask-soft", target.record_id, found, Action.REPAIRED)
    return lesions_of_mask(pixels if sharp is None else sharp, target, where)


def _refuse_several_pages(picture: Image.Image, where: str) -> None:
    pages = getattr(picture, "n_frames", 1)
    if pages > 1:
        found = f"expected a mask of one page, got {pages}: what the others mark would be lost"
        raise InvalidRecordError("mask-not-flat", where, found, "Export each mask into a file of its own.")


def _values(picture: Image.Image, where: str) -> NDArray[np.integer]:
    """One number per pixel, 0 for black or fully transparent: grey, palette index, or packed colour."""
    if picture.mode == "P" and _is_marked_background(picture):
        return _values(picture.convert("RGBA" if "transparency" in picture.info else "RGB"), where)
    if picture.mode in ("RGBA", "LA", "PA"):
        return _opaque_values(picture, where)
    if picture.mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
        return np.asarray(picture).astype(np.int64)
    if picture.mode == "F":
        return _whole_values(np.asarray(picture), where)
    colour = np.asarray(picture.convert("RGB")).astype(np.int64)
    if (colour == colour[..., :1]).all():
        return colour[..., 0]
    return colour[..., 0] << 16 | colour[..., 1] << 8 | colour[..., 2]


def _is_marked_background(picture: Image.Image) -> bool:
    """Whether palette index 0 is neither black nor see-through: indices do not tell what is marked then."""
    first = (picture.getpalette() or [0, 0, 0])[:3]
    clear = picture.info.get("transparency")
    is_clear = clear == 0 or (isinstance(clear, bytes) and clear[:1] == b"\0")
    return any(first) and not is_clear


def _opaque_values(picture: Image.Image, where: str) -> NDArray[np.integer]:
    """The colours of what can be seen; where all of it is black, what is opaque is what was drawn."""
    opaque = np.asarray(picture.getchannel("A")) > 0
    colours = _values(picture.convert("RGB"), where)
    if not (colours * opaque).any():
        if colours.any():
            found, remedy = "all that the mask marks is transparent", "Export it without transparency."
            raise InvalidRecordError("mask-empty", where, found, remedy)
        return opaque.astype(np.int64) if not opaque.all() else colours
    return colours * opaque


def _whole_values(values: NDArray[np.floating], where: str) -> NDArray[np.integer]:
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        found = "the mask holds values that are no whole numbers"
        raise InvalidRecordError("mask-values", where, found, "Save it as a label map.")
    return values.astype(np.int64)
