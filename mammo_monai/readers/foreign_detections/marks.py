"""What another toolkit says of one image: its names, its marks, the size it saw; no image is looked up yet.

Boxes are `(x_min, y_min, x_max, y_max)`, half-open, in pixels of the image that the toolkit marked, which may
be a resized copy; shares of the image are pixels of an image of 1 × 1. Refused: what is no finite number,
corners that are reversed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.records import Box

_LARGEST_PX = 1e9
WHOLE_IMAGE = (1.0, 1.0)
"""The size of an image whose boxes are shares of it."""


@dataclass(frozen=True)
class ForeignMark:
    """One mark.

    Attributes:
        type: a word of `LESION_LABELS`, or several joined by "+"; None for what is no lesion.
        number: of its row or line.
    """

    box: Box
    score: float
    type: str | None
    number: int


@dataclass(frozen=True)
class ForeignImage:
    """One image as a toolkit names it.

    Attributes:
        names: relative paths, file names or either without suffix; the first that leads to an image counts.
        source, unit: the file that marks it, and what counts in it, for messages: "row", "line".
        n_marks: how many it has. read: reads and checks them.
        record_id: of the manifest, where the toolkit says it.
        size: width and height of the image that was marked; None where nobody says.
    """

    names: tuple[str, ...]
    source: str
    unit: str
    n_marks: int
    read: Callable[[], Sequence[ForeignMark]]
    record_id: str = ""
    size: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """What the image is called in messages."""
        return self.record_id or self.names[0]

    def place(self, number: int) -> str:
        """File and row, for messages."""
        return f"{self.source}, {self.unit} {number}"


@dataclass(frozen=True)
class ForeignMarks:
    """What a toolkit wrote.

    Attributes:
        files: name and SHA-256 of each that was read.
        lists_all: an image that is not among `images` was never marked; else it may be one without a mark.
    """

    images: Sequence[ForeignImage]
    files: Sequence[tuple[str, str]]
    lists_all: bool = False


def checked_mark(
    corners: Sequence[Any], score: Any, kind: str | None, where: str, number: int
) -> ForeignMark:
    """A mark of four corner numbers and a score.

    Args:
        corners: x_min, y_min, x_max, y_max. where: file and row, for messages.

    Raises:
        ManifestError: no finite numbers, or corners that are reversed.
    """
    numbers = [finite(each) for each in corners]
    if not _is_box(numbers):
        raise ManifestError(
            f"{where}: expected a box of finite numbers with x_min ≤ x_max and y_min ≤ y_max, got "
            f"{list(corners)!r:.120}.{_decimal_hint(corners)}"
        )
    certain = finite(score)
    if certain is None:
        raise ManifestError(
            f"{where}: expected a score that is a finite number, got {score!r:.80}.{_decimal_hint([score])}"
        )
    x_min, y_min, x_max, y_max = numbers
    return ForeignMark((x_min, y_min, x_max, y_max), certain, kind, number)  # type: ignore[arg-type]  # see above


def _is_box(corners: Sequence[float | None]) -> bool:
    x_min, y_min, x_max, y_max = (math.nan if each is None else each for each in corners)
    return -_LARGEST_PX <= x_min <= x_max <= _LARGEST_PX and -_LARGEST_PX <= y_min <= y_max <= _LARGEST_PX


def finite(value: Any) -> float | None:
    """A number as float; None for text, true, NaN and what is infinite.

    >>> finite(3), finite("3"), finite(True), finite(float("nan"))
    (3.0, None, None, None)
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) else None  # whole numbers have 64 bits: `json_text`


def _decimal_hint(values: Sequence[Any]) -> str:
    has_comma = any(isinstance(each, str) and "," in each for each in values)
    return " Write numbers with a decimal point." if has_comma else ""
