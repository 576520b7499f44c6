"""Text drawn into the picture: rows of small, sharp, equally high parts that stand out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.imaging.checks import check_image
from mammo_monai.records import Box

_WORKING_PX = 1600
_STROKE = 0.012  # of the longer side: the widest stroke of a letter
_CONTRAST = 0.3  # of the range of grey values
_HEIGHTS_PX = (5, 64)  # of a letter on the working copy
_WIDEST = 2.0  # times its height; letters that touch make one part
_INK = (0.15, 0.95)  # share of its box that a letter fills
_SAME_HEIGHT = 1.9
_BASELINE = 0.25  # of the height
_GAP = 1.1  # of the height, between neighbours
_FLAT = 0.25  # of the letters' contrast: a printed letter is of one grey, a calcification is not
_LEAST_LETTERS = 5  # lead markers spell RCC, LMLO, at most four


@dataclass(frozen=True)
class TextLine:
    """A row of letters.

    Attributes:
        box: pixels of the image, half-open. n_letters: parts in it.
    """

    box: Box
    n_letters: int


@dataclass(frozen=True)
class _Part:
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


def text_lines(image: NDArray[np.generic]) -> tuple[TextLine, ...]:
    """Rows of what looks like bright letters, longest first; none is what a mammogram should have.

    Lead markers of the projection are shorter than the shortest row told. Dark letters, handwriting, and
    letters turned by more than some degrees are not found. Nothing is read: what a row says is for
    people to see.

    Args:
        image: shape (H, W), any real dtype; dense tissue is bright (MONOCHROME2).

    Raises:
        GeometryError: not two-dimensional, empty, or not finite.

    Source: ours; measured in docs/explanation/privacy.md.
    """
    check_image(image)
    small, step = _bright_copy(image)
    low, high = np.percentile(small, (1, 99.9))
    if not high > low:
        return ()
    rise = small - ndimage.grey_opening(small, size=2 * round(_STROKE * max(small.shape)) + 3)
    letters = _letters(rise, _CONTRAST * float(high - low))
    rows = [row for row in _rows(letters) if len(row) >= _LEAST_LETTERS]
    lines = [TextLine(_box(row, step), len(row)) for row in rows]
    return tuple(sorted(lines, key=lambda line: -line.n_letters))


def _bright_copy(image: NDArray[np.generic]) -> tuple[NDArray[np.float32], int]:
    """The brightest pixel of each square: thin strokes survive, as they would not in a mean."""
    step = max(1, -(-max(image.shape) // _WORKING_PX))
    height, width = (-(-side // step) * step for side in image.shape)
    padded = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1])), mode="edge")
    blocks = padded.reshape(height // step, step, width // step, step)
    return blocks.max(axis=(1, 3)).astype(np.float32), step


def _letters(rise: NDArray[np.float32], contrast: float) -> list[_Part]:
    labels, _ = ndimage.label(rise > contrast, np.ones((3, 3)))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not _HEIGHTS_PX[0] <= height <= _HEIGHTS_PX[1] or width > _WIDEST * height:
            continue
        ink = labels[rows, columns] == number
        if _INK[0] <= ink.mean() <= _INK[1] and _is_flat(rise[rows, columns][ink]):
            found.append(_Part(rows.start, rows.stop, columns.start, columns.stop))
    return sorted(found, key=lambda part: part.left)


def _is_flat(values: NDArray[np.float32]) -> bool:
    low, high = np.percentile(values, (50, 95))
    return bool(high - low <= _FLAT * high)


def _rows(letters: list[_Part]) -> list[list[_Part]]:
    """Chains of neighbours from left to right; a letter belongs to the first row that it continues."""
    rows: list[list[_Part]] = []
    for part in letters:
        row = next((each for each in rows if _continues(each[-1], part)), None)
        if row is None:
            rows.append([part])
        else:
            row.append(part)
    return rows


def _continues(left: _Part, right: _Part) -> bool:
    taller, lower = max(left.height, right.height), min(left.height, right.height)
    return (
        -0.2 * taller <= right.left - left.right <= _GAP * taller
        and taller <= _SAME_HEIGHT * lower
        and abs(right.bottom - left.bottom) <= _BASELINE * taller + 1
    )


def _box(row: list[_Part], step: int) -> Box:
    left, top = min(each.left for each in row), min(each.top for each in row)
    right, bottom = max(each.right for each in row), max(each.bottom for each in row)
    return (float(left * step), float(top * step), float(right * step), float(bottom * step))
