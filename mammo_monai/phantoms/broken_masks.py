"""Faults of ROI masks: gone, empty, of another size, of another field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from mammo_monai.phantoms.dicom_writer import write_image
from mammo_monai.phantoms.written_tree import PhantomImage, masks_of

Mask = NDArray[np.uint8]


def remove(image: PhantomImage) -> str:
    """Removes the masks; the rows that name them stay."""
    for path in masks_of(image):
        path.unlink()
    return "masks removed, their rows stay"


def empty(image: PhantomImage) -> str:
    """Sets all pixels of the masks to zero."""
    _change(image, np.zeros_like)
    return "masks all zero"


def enlarge(image: PhantomImage) -> str:
    """Doubles rows and columns of the masks: another size, the same field."""
    _change(image, lambda mask: mask.repeat(2, axis=0).repeat(2, axis=1))
    return "masks of twice the size, the same field"


def cut(image: PhantomImage) -> str:
    """Cuts rows off the masks beside the mass: another field, as nothing in the file tells."""
    _change(image, _without_rows)
    return "rows cut off the masks, another field"


def _without_rows(mask: Mask) -> Mask:
    marked = np.flatnonzero(mask.any(axis=1))
    above, below = int(marked[0]), len(mask) - 1 - int(marked[-1])
    return mask[above // 2 :] if above > below else mask[: len(mask) - below // 2]


def _change(image: PhantomImage, change: Callable[[Mask], Mask]) -> None:
    for path in masks_of(image):
        dataset = dcmread(path)
        pixels = np.ascontiguousarray(change(dataset.pixel_array))
        write_image(path, dataset, pixels, bits_stored=8, rle=True)
