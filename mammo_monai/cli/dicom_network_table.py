"""Rows of text as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def table_lines(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A head and the rows, with the columns that hold something, each as wide as it needs to be.

    What comes from an archive cannot move a terminal's cursor: what is not printable becomes a space.

    >>> table_lines([{"PatientID": "7", "Modality": ""}, {"PatientID": "12", "Modality": ""}])
    ['PatientID', '7', '12']
    """
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if value))
    cells = [names, *([_printable(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
