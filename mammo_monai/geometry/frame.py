"""The way from original pixels to model pixels: a list of crops, flips and scalings, exactly invertible.

Boxes here are `(x_min, y_min, x_max, y_max)`, float64. Every transform that moves pixels appends its step,
so a model's boxes return to the original image without knowing which transforms ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mammo_monai.errors import GeometryError
from mammo_monai.geometry.boxes import flip_boxes, scale_boxes
from mammo_monai.records import Boxes


@dataclass(frozen=True)
class Crop:
    """Keeps the rectangle whose first pixel is `(x_min, y_min)`; it may reach outside (padding)."""

    x_min: int
    y_min: int
    width: int
    height: int

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """`(width, height)` of the cropped image."""
        return self.width, self.height

    def forward(self, boxes: Boxes) -> Boxes:
        """Boxes in the cropped image."""
        return np.asarray(boxes - np.tile([self.x_min, self.y_min], 2))

    def backward(self, boxes: Boxes) -> Boxes:
        """Boxes in the image before the crop."""
        return np.asarray(boxes + np.tile([self.x_min, self.y_min], 2))


@dataclass(frozen=True)
class Flip:
    """Mirrors left and right an image `width` pixels wide."""

    width: int

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """`(width, height)`, unchanged."""
        return size

    def forward(self, boxes: Boxes) -> Boxes:
        """Boxes in the mirrored image."""
        return flip_boxes(boxes, self.width)

    def backward(self, boxes: Boxes) -> Boxes:
        """Boxes before the mirroring: the same again."""
        return flip_boxes(boxes, self.width)


@dataclass(frozen=True)
class Scale:
    """Stretches an image of `width` × `height` to `to_width` × `to_height`."""

    width: int
    height: int
    to_width: int
    to_height: int

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """`(to_width, to_height)`."""
        return self.to_width, self.to_height

    def forward(self, boxes: Boxes) -> Boxes:
        """Boxes in the stretched image."""
        return scale_boxes(boxes, self.to_width / self.width, self.to_height / self.height)

    def backward(self, boxes: Boxes) -> Boxes:
        """Boxes in the image before the stretch."""
        return scale_boxes(boxes, self.width / self.to_width, self.height / self.to_height)


Step = Crop | Flip | Scale
_STEPS = {step.__name__.lower(): step for step in (Crop, Flip, Scale)}


@dataclass(frozen=True)
class ImageFrame:
    """Original size and the steps taken since.

    >>> frame = ImageFrame(100, 80).then(Crop(10, 0, 50, 80)).then(Flip(50)).then(Scale(50, 80, 25, 40))
    >>> frame.size
    (25, 40)
    >>> import numpy as np
    >>> frame.to_model(np.array([[20.0, 8.0, 30.0, 16.0]])).tolist()
    [[15.0, 4.0, 20.0, 8.0]]
    >>> frame.to_original(np.array([[15.0, 4.0, 20.0, 8.0]])).tolist()
    [[20.0, 8.0, 30.0, 16.0]]
    """

    width: int
    height: int
    steps: tuple[Step, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` of the image now, in pixels."""
        size = (self.width, self.height)
        for step in self.steps:
            size = step.size_after(size)
        return size

    def then(self, step: Step) -> ImageFrame:
        """The frame after one more step.

        Raises:
            GeometryError: the step was made for an image of another size, or leaves no pixel.
        """
        before = self.size
        expected = (step.width, step.height) if isinstance(step, Scale) else None
        if (expected is not None and expected != before) or (
            isinstance(step, Flip) and step.width != before[0]
        ):
            raise GeometryError(f"{step} does not fit an image of {before[0]} × {before[1]} px.")
        if min(step.size_after(before)) < 1:
            raise GeometryError(f"{step} leaves no pixel of an image of {before[0]} × {before[1]} px.")
        return replace(self, steps=(*self.steps, step))

    def without_last(self) -> tuple[ImageFrame, Step]:
        """The frame before its last step, and that step.

        Raises:
            GeometryError: no step was taken.
        """
        if not self.steps:
            raise GeometryError("nothing to undo: the image is in its original frame.")
        return replace(self, steps=self.steps[:-1]), self.steps[-1]

    def to_model(self, boxes: Boxes) -> Boxes:
        """Boxes of the original image, shape (N, 4), in the frame now."""
        for step in self.steps:
            boxes = step.forward(boxes)
        return boxes

    def to_original(self, boxes: Boxes) -> Boxes:
        """Boxes of the frame now, shape (N, 4), in original pixels; not clipped."""
        for step in reversed(self.steps):
            boxes = step.backward(boxes)
        return boxes

    def as_json(self) -> dict[str, object]:
        """The frame as it stands in a file; `from_json` reads it.

        >>> ImageFrame(100, 80).then(Flip(100)).as_json()
        {'width': 100, 'height': 80, 'steps': [['flip', 100]]}
        """
        steps = [[type(step).__name__.lower(), *asdict(step).values()] for step in self.steps]
        return {"width": self.width, "height": self.height, "steps": steps}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> ImageFrame:
        """The frame that `as_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: something else. GeometryError: steps that do not fit.
        """
        frame = ImageFrame(content["width"], content["height"])
        for kind, *values in content["steps"]:
            frame = frame.then(_STEPS[kind](*(int(value) for value in values)))
        return frame
