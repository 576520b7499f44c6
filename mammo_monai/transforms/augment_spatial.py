"""Random flips, quarter turns, rotation with scale and shift, and crops, with boxes.

`randomize()` draws, `apply()` is deterministic. A sample that was moved has `frame` None: no frame records
rotations, and training needs none. With `prob=0` a sample comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from monai.transforms import MapTransform, RandomizableTransform
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.geometry import Crop, flip_boxes
from mammo_monai.records import Boxes
from mammo_monai.transforms.sample import Sample, boxes_of, clipped, crop_image, image_of, size_of, with_boxes

BoxShape = Literal["ellipse", "rectangle"]


class RandFlipsd(RandomizableTransform, MapTransform):  # type: ignore[misc]  # monai carries no types
    """Mirrors left-right with probability `prob`, and independently top-bottom with `vertical_prob`.

    Source: P2 (both axes), P3 (left-right).
    """

    def __init__(self, prob: float = 0.5, vertical_prob: float = 0.0) -> None:
        MapTransform.__init__(self, keys=("image", "box"))
        RandomizableTransform.__init__(self, prob)
        self.vertical_prob = vertical_prob
        self._flips = (False, False)

    def randomize(self, data: object = None) -> None:
        """Draws the two flips."""
        horizontal, vertical = self.R.random_sample(2)
        self._flips = (bool(horizontal < self.prob), bool(vertical < self.vertical_prob))

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample with the drawn flips."""
        image, boxes = image_of(data), boxes_of(data)
        width, height = size_of(image)
        horizontal, vertical = self._flips
        if horizontal:
            image, boxes = image.flip(-1), flip_boxes(boxes, width)
        if vertical:
            image, boxes = image.flip(-2), _flipped_vertically(boxes, height)
        return _moved(data, image, boxes) if horizontal or vertical else dict(data)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)


class RandQuarterTurnsd(RandomizableTransform, MapTransform):  # type: ignore[misc]  # monai carries no types
    """Turns by 90, 180 or 270 degrees, each as likely; width and height change places.

    Source: P2 (Jung et al., 2018).
    """

    def __init__(self, prob: float = 0.5) -> None:
        MapTransform.__init__(self, keys=("image", "box"))
        RandomizableTransform.__init__(self, prob)
        self._turns = 0

    def randomize(self, data: object = None) -> None:
        """Draws the number of quarter turns; 0 is no turn."""
        super().randomize(None)
        turns = int(self.R.randint(1, 4))
        self._turns = turns if self._do_transform else 0

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample after the drawn turns, anticlockwise."""
        if not self._turns:
            return dict(data)
        image, boxes = image_of(data), boxes_of(data)
        for _ in range(self._turns):
            boxes = _turned(boxes, size_of(image)[0])
            image = torch.rot90(image, 1, dims=(-2, -1))
        return _moved(data, image, boxes)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)


@dataclass(frozen=True)
class Placement:
    """Rotation about the image's centre (clockwise as displayed), scale, then shift in pixels (x, y)."""

    angle_deg: float
    scale: float
    shift_px: tuple[float, float]

    def boxes(self, boxes: Boxes, size: tuple[int, int], shape: BoxShape) -> Boxes:
        """Boxes around what the boxes held: an ellipse inscribed in each, or the whole rectangle."""
        cosine, sine = self._cosine_sine()
        centres, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        middle = np.array(size) / 2
        turn = np.array([[cosine, -sine], [sine, cosine]])
        moved = (centres - middle) @ turn.T * self.scale + middle + np.array(self.shift_px)
        extents = half[:, None, :] * np.abs(turn)[None]
        reach = np.linalg.norm(extents, axis=2) if shape == "ellipse" else extents.sum(axis=2)
        return np.concatenate([moved - reach * self.scale, moved + reach * self.scale], axis=1)

    def image(self, image: Tensor) -> Tensor:
        """The image after one bilinear resampling at its own size; 0 where nothing was."""
        width, height = size_of(image)
        cosine, sine = (each / self.scale for each in self._cosine_sine())
        x, y = self.shift_px
        # From output to input, in grid_sample's units: half a width, half a height, origin at the centre.
        theta = torch.tensor(
            [
                [cosine, sine * height / width, -(cosine * x + sine * y) * 2 / width],
                [-sine * width / height, cosine, -(cosine * y - sine * x) * 2 / height],
            ],
            dtype=torch.float32,
        )
        grid = F.affine_grid(theta[None], [1, 1, height, width], align_corners=False)
        return F.grid_sample(image[None], grid, mode="bilinear", align_corners=False)[0]

    def _cosine_sine(self) -> tuple[float, float]:
        angle = np.deg2rad(self.angle_deg)
        return float(np.cos(angle)), float(np.sin(angle))


class RandRotateScaled(RandomizableTransform, MapTransform):  # type: ignore[misc]  # monai carries no types
    """Rotates by any angle, scales and shifts in one resampling; the image keeps its size.

    A mass is round, so by default its new box encloses the ellipse inscribed in the old one; the box around
    the rotated rectangle would be up to 1.37 times as wide at 30 degrees. Boxes are cut at the borders; those
    of which less than `min_area_fraction` remains are dropped.

    Args:
        rotate_deg: angles from −`rotate_deg` to `rotate_deg`. scale: smallest and largest factor.
        shift_fraction: largest shift, of width and of height.
        box_shape: what a box is taken to hold: "ellipse" or "rectangle".

    Raises:
        ValueError: factors not above 0 or reversed, or another `box_shape`.

    Source: P3 (Agarwal et al., 2019): ±30°, 0.75–1.25. Ellipse: no source known.
    """

    def __init__(
        self,
        prob: float = 0.5,
        *,
        rotate_deg: float = 30.0,
        scale: tuple[float, float] = (0.75, 1.25),
        shift_fraction: float = 0.0,
        box_shape: BoxShape = "ellipse",
        min_area_fraction: float = 0.25,
    ) -> None:
        MapTransform.__init__(self, keys=("image", "box"))
        RandomizableTransform.__init__(self, prob)
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale must be (smallest, largest) with 0 < smallest <= largest, got {scale}.")
        if box_shape not in ("ellipse", "rectangle"):
            raise ValueError(f"box_shape must be ellipse or rectangle, got {box_shape!r}.")
        self.rotate_deg = rotate_deg
        self.scale = (scale[0], scale[1])
        self.shift_fraction = shift_fraction
        self.box_shape: BoxShape = box_shape
        self.min_area_fraction = min_area_fraction
        self._drawn = (0.0, 1.0, 0.0, 0.0)

    def randomize(self, data: object = None) -> None:
        """Draws angle (degrees), factor, and shift as fractions of width and height."""
        super().randomize(None)
        angle, factor, x, y = self.R.random_sample(4)
        low, high = self.scale
        self._drawn = (
            self.rotate_deg * (2 * angle - 1),
            low + (high - low) * factor,
            self.shift_fraction * (2 * x - 1),
            self.shift_fraction * (2 * y - 1),
        )

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample in the drawn placement."""
        if not self._do_transform:
            return dict(data)
        image = image_of(data)
        width, height = size_of(image)
        angle_deg, factor, x, y = self._drawn
        placement = Placement(angle_deg, factor, (x * width, y * height))
        boxes = placement.boxes(boxes_of(data), (width, height), self.box_shape)
        moved = _moved(data, placement.image(image), boxes)
        return clipped(moved, min_area_fraction=self.min_area_fraction)

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)


class RandCropKeepingBoxesd(RandomizableTransform, MapTransform):  # type: ignore[misc]  # monai carries no types
    """Crops to a random window that holds every box whole: it is widened where a box would be cut.

    Args:
        min_fraction: shortest side of the window, of the image's side; both sides are drawn apart.

    Raises:
        ValueError: `min_fraction` outside (0, 1].

    Source: P2 (Jung et al., 2018) crops randomly and names no size.
    """

    def __init__(self, prob: float = 0.5, min_fraction: float = 0.7) -> None:
        MapTransform.__init__(self, keys=("image", "box"))
        RandomizableTransform.__init__(self, prob)
        if not 0 < min_fraction <= 1:
            raise ValueError(f"min_fraction must be above 0 and at most 1, got {min_fraction}.")
        self.min_fraction = min_fraction
        self._drawn: tuple[float, ...] = (1.0, 1.0, 0.0, 0.0)

    def randomize(self, data: object = None) -> None:
        """Draws the window: width and height as fractions, then its place in what is left."""
        super().randomize(None)
        wide, high, x, y = self.R.random_sample(4)
        low = self.min_fraction
        self._drawn = (low + (1 - low) * wide, low + (1 - low) * high, x, y)

    def apply(self, data: Mapping[str, Any]) -> Sample:
        """The sample cut to the drawn window."""
        if not self._do_transform:
            return dict(data)
        image, boxes = image_of(data), boxes_of(data)
        size, (wide, high, x, y) = np.array(size_of(image)), self._drawn
        sides = np.maximum(np.round(size * (wide, high)), 1)
        low = np.round((size - sides) * (x, y))
        inside = np.clip(boxes.reshape(-1, 2), 0, size)
        high_corner = np.max([low + sides, *np.ceil(inside)], axis=0).astype(int)
        low = np.min([low, *np.floor(inside)], axis=0).astype(int)
        step = Crop(int(low[0]), int(low[1]), int(high_corner[0] - low[0]), int(high_corner[1] - low[1]))
        return _moved(data, crop_image(image, step), step.forward(boxes))

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """Draws, then applies."""
        self.randomize()
        return self.apply(data)


def _moved(data: Mapping[str, Any], image: Tensor, boxes: Boxes) -> Sample:
    return {**with_boxes(data, boxes), "image": image.contiguous(), "frame": None}


def _flipped_vertically(boxes: Boxes, height: int) -> Boxes:
    return np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], axis=1)


def _turned(boxes: Boxes, width: int) -> Boxes:
    """Boxes after a quarter turn anticlockwise: x becomes y from the top, right becomes top."""
    return np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], axis=1)
