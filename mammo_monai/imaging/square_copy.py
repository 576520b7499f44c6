"""The small square copy of an image that its breast is found on, and the way back to full size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.geometry import mask_box

_SAMPLED_PX = 480  # of sides of 2640 px or more only every n-th pixel is looked at, at least 1320 of them


@dataclass(frozen=True, eq=False)
class SquareCopy:
    """A reduced image; see `square_copy`.

    Attributes:
        pixels: float32, shape (rows, columns).
        skip: rows and columns of the image from one that was looked at to the next.
        sampled: rows and columns that were looked at. shape: of the image, (H, W).
    """

    pixels: NDArray[np.float32]
    skip: tuple[int, int]
    sampled: tuple[int, int]
    shape: tuple[int, int]

    @property
    def steps(self) -> tuple[float, float]:
        """Length of a row and of a column; the longer side of the copy counts as many as it has pixels."""
        rows, columns = self.pixels.shape
        return max(rows, columns) / rows, max(rows, columns) / columns

    def enlarged(self, mask: NDArray[np.bool_]) -> SampledMask:
        """A mask of the copy, interpolated to what was looked at.

        Interpolating all the way would take three times as long to smooth stairs of `skip` pixels.
        """
        grey = Image.fromarray(mask.astype(np.uint8) * 255)
        marks = np.asarray(grey.resize(self.sampled[::-1], Image.Resampling.BILINEAR)) > 127
        return SampledMask(marks, self.skip, self.shape)


@dataclass(frozen=True, eq=False)
class SampledMask:
    """A mask of an image, kept at the rows and columns that were looked at: the others repeat those.

    Attributes:
        marks: boolean, shape (rows, columns). skip, shape: see `SquareCopy`.
    """

    marks: NDArray[np.bool_]
    skip: tuple[int, int]
    shape: tuple[int, int]

    def __or__(self, other: SampledMask) -> SampledMask:
        """What either of two masks of one image marks."""
        return SampledMask(self.marks | other.marks, self.skip, self.shape)

    def whole(self) -> NDArray[np.bool_]:
        """The mask at the image's shape."""
        return self.part(0, 0, self.shape[1], self.shape[0])

    def part(self, x_min: int, y_min: int, x_max: int, y_max: int) -> NDArray[np.bool_]:
        """A rectangle of the mask, in pixels of the image, half-open, within it."""
        (above, beside) = self.skip
        top, left = y_min // above, x_min // beside
        marks = self.marks[top : -(-y_max // above), left : -(-x_max // beside)]
        wide = np.ascontiguousarray(
            marks.repeat(beside, axis=1)[:, x_min - left * beside :][:, : x_max - x_min]
        )
        return wide.repeat(above, axis=0)[y_min - top * above :][: y_max - y_min]

    def box(self) -> tuple[int, int, int, int]:
        """Smallest rectangle around the mask, see `mask_box`, in pixels of the image.

        Raises:
            GeometryError: the mask is empty.
        """
        (above, beside), (height, width) = self.skip, self.shape
        x_min, y_min, x_max, y_max = (int(edge) for edge in mask_box(self.marks))
        return x_min * beside, y_min * above, min(x_max * beside, width), min(y_max * above, height)

    def square_copy(self, side_px: int) -> SquareCopy:
        """What `square_copy` gives of the whole mask; that looks at the same rows and columns."""
        return SquareCopy(_means(self.marks, side_px), self.skip, _size(self.marks), self.shape)


def square_copy(image: NDArray[np.generic], side_px: int) -> SquareCopy:
    """Copy of at most `side_px` pixels along each side; a side that is shorter keeps its length.

    The ratio is given up on purpose: a film and its release stretched to a square give the same copy, so the
    same breast is found on both. A pixel is the mean of those looked at whose centre it holds. Looking at all
    would cost more time and find the same outlines; averaging none would keep the noise.

    >>> square_copy(np.array([[1, 3, 5, 7], [1, 3, 5, 7]]), 2).pixels.tolist()
    [[2.0, 6.0], [2.0, 6.0]]
    """
    height, width = image.shape
    skip = max(1, round(height / _SAMPLED_PX) // 3), max(1, round(width / _SAMPLED_PX) // 3)
    sample = image[:: skip[0], :: skip[1]]
    return SquareCopy(_means(sample, side_px), skip, _size(sample), (height, width))


def _means(sample: NDArray[np.generic], side_px: int) -> NDArray[np.float32]:
    rows, columns = sample.shape
    picture = Image.fromarray(np.ascontiguousarray(sample, dtype=np.float32))
    size = min(side_px, columns), min(side_px, rows)
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def _size(sample: NDArray[np.generic]) -> tuple[int, int]:
    return sample.shape[0], sample.shape[1]
