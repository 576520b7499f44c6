"""A table as cells of text: one content, printed as text or set as HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

UNDEFINED = "–"
WILSON_MARK = "ᵂ"
WILSON_NOTE = (
    f"{WILSON_MARK} Wilson interval of the plain counts (lesions; for precision, detections; for "
    "whole images, these), where resampling patients says nothing; the others of that kind are percentiles "
    "of a bootstrap over patients."
)


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row.

    Attributes:
        runs: whether the runs are the columns after the first, or the rows; None where neither is.
        notes: sentences that belong under it.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    runs: Literal["columns", "rows"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def footnotes(self) -> tuple[str, ...]:
        """The notes, and what the mark of Wilson's intervals means where a cell bears it."""
        has_mark = any(WILSON_MARK in cell for row in self.rows for cell in row)
        return (*self.notes, WILSON_NOTE) if has_mark else self.notes

    @property
    def figure_columns(self) -> tuple[bool, ...]:
        """Which columns are set right: those after the first whose cells all are one number, or a dash.

        A number may have an interval, a count or a word behind it; a list of several is text.

        >>> Table("", ("run", "n", "rule"), (("a", "0.9 (0.8–1)", "IoU"), ("b", "–", "0.2"))).figure_columns
        (False, True, False)
        """
        return tuple(
            n > 0 and all(re.fullmatch(r"[\d.–+−][^,;·]*", row[n]) for row in self.rows)
            for n in range(len(self.header))
        )

    def as_text(self) -> str:
        """Aligned columns for a terminal, header first."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def figure_text(value: float | None, *, digits: int = 2) -> str:
    """The value, or a dash where it is undefined."""
    return UNDEFINED if value is None else f"{value:.{digits}f}"
