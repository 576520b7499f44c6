"""Training samples cut as sections at original resolution: around a lesion, or of background (P2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from monai.transforms import InvertibleTransform, MapTransform, Randomizable
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.geometry import Crop
from mammo_monai.records import Boxes
from mammo_monai.transforms.sample import (
    Sample,
    after_step,
    boxes_of,
    clipped,
    crop_image,
    image_of,
    size_of,
    undo_step,
)

BACKGROUND = "background"
PARTS_PER_SIDE = 3
TRIES = 16
GRID_PX = 8  # tissue is counted on every eighth pixel: sections are hundreds of pixels wide


class CutSectiond(Randomizable, MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Cuts the section a sample's `section` asks for: a third of the image's width by a third of its height.

    `section` is None (or missing) for the whole image, the row of a box, or `"background"`. A lesion lies
    whole in its section, at a random place; one larger than the section fills it. A background section holds
    no part of a lesion and at least `min_tissue_fraction` pixels above 0, if one of 16 random places does;
    else the place with least lesion, then most tissue. Where a sample has fewer boxes than `section` says
    (some were dropped), counting goes round; without any box it is background.

    Boxes are cut at the section's borders; those of which less than `min_area_fraction` remains are dropped.

    Source: P2 (Jung et al., 2018) cuts sections at lesions, of the size used in inference (see
    `inference.sections`); place, background and fractions: no source known.
    """

    def __init__(self, *, min_tissue_fraction: float = 0.3, min_area_fraction: float = 0.25) -> None:
        super().__init__(keys=("image", "box"))
        self.min_tissue_fraction = min_tissue_fraction
        self.min_area_fraction = min_area_fraction
        self._places: NDArray[np.float64] = np.full((TRIES, 2), 0.5)

    def randomize(self, data: object = None) -> None:
        """Draws places `(x, y)` in [0, 1), shape (16, 2)."""
        self._places = self.R.random_sample((TRIES, 2))

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample cut at the drawn place."""
        image, boxes, section = image_of(data), boxes_of(data), data.get("section")
        size = np.array(size_of(image))
        sides = -(-size // PARTS_PER_SIDE)
        if section is None:
            sides, corner = size, np.zeros(2, dtype=np.int64)
        elif section == BACKGROUND or not len(boxes):
            corner = self._background_corner(image, boxes, sides)
        else:
            corner = _lesion_corner(boxes[int(section) % len(boxes)], size, sides, self._places[0])
        step = Crop(int(corner[0]), int(corner[1]), int(sides[0]), int(sides[1]))
        return clipped(
            after_step(data, crop_image(image, step), step), min_area_fraction=self.min_area_fraction
        )

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample in the whole image, 0 outside the section."""
        return undo_step(data, (Crop,))

    def _background_corner(self, image: Tensor, boxes: Boxes, sides: NDArray[np.int64]) -> NDArray[np.int64]:
        free = np.array(size_of(image)) - sides
        corners = np.floor(self._places * (free + 1)).astype(np.int64)
        lesion = np.array([_largest_share(boxes, corner, corner + sides) for corner in corners])
        tissue = np.array([_tissue_fraction(image, corner, corner + sides) for corner in corners])
        is_good = (lesion == 0) & (tissue >= self.min_tissue_fraction)
        best = int(np.argmax(is_good)) if is_good.any() else int(np.lexsort((-tissue, lesion))[0])
        return np.asarray(corners[best])


def _lesion_corner(
    box: NDArray[np.float64], size: NDArray[np.int64], sides: NDArray[np.int64], place: NDArray[np.float64]
) -> NDArray[np.int64]:
    """First pixel `(x, y)` of a section that holds the box, or lies in it where it is larger."""
    first, last = np.ceil(box[2:] - sides), np.floor(box[:2])
    low, high = np.minimum(first, last), np.maximum(first, last)
    free = size - sides
    low, high = np.clip(low, 0, free), np.clip(high, 0, free)
    return np.asarray(np.floor(low + place * (high - low + 1)), dtype=np.int64)


def _largest_share(boxes: Boxes, low: NDArray[np.int64], high: NDArray[np.int64]) -> float:
    """Largest part of a box's area inside the rectangle from `low` to `high`."""
    cut = np.maximum(np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low), 0)
    return float(np.max(cut.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), initial=0.0))


def _tissue_fraction(image: Tensor, low: NDArray[np.int64], high: NDArray[np.int64]) -> float:
    pixels = image[0, low[1] : high[1] : GRID_PX, low[0] : high[0] : GRID_PX]
    return float((pixels > 0).numpy().mean())
