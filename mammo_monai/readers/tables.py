"""Reads a data set's own tables: CSV with BOM, CRLF, line breaks inside quotes, any of three separators."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import InvalidRecordError

T = TypeVar("T")
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        table: where the table lies. number: 1 for the first row below the header.
        values: by column name, spelt as `column_name` spells it; stripped of blanks and line breaks.
    """

    table: Path
    number: int
    values: dict[str, str]

    @property
    def where(self) -> str:
        """Table and row, for messages."""
        return f"{self.table}, row {self.number}"

    def fault(self, column: str, expected: str) -> InvalidRecordError:
        """The error for a value that cannot be read."""
        found = f"{column!r} must be {expected}, got {self.values[column]!r}"
        return InvalidRecordError("table-value", self.where, found, "Use the table as it was published.")

    def text(self, column: str) -> str:
        """The text in a column.

        Raises:
            InvalidRecordError: the cell is empty.
        """
        if not self.values[column]:
            raise self.fault(column, "filled in")
        return self.values[column]

    def choice(self, column: str, choices: Mapping[str, T]) -> T:
        """What the word in a column stands for; upper and lower case are the same.

        Raises:
            InvalidRecordError: none of the `choices`.
        """
        try:
            return choices[self.values[column].upper()]
        except KeyError:
            raise self.fault(column, " or ".join(choices)) from None

    def whole_number(self, column: str, low: int, high: int, *, unknown: Sequence[str] = ("",)) -> int | None:
        """The number in a column; None where the cell holds one of the `unknown` marks.

        Raises:
            InvalidRecordError: not a whole number from `low` to `high`.
        """
        text = self.values[column]
        if text in unknown:
            return None
        number = text.removesuffix(".0")
        if not (number.isascii() and number.isdigit() and low <= int(number) <= high):
            raise self.fault(column, f"a whole number from {low} to {high}")
        return int(number)


def column_name(text: str) -> str:
    """One spelling for the variants of a column's name.

    >>> column_name("Breast_Density "), column_name("breast density")
    ('breast density', 'breast density')
    """
    return " ".join(text.replace("_", " ").lower().split())


def read_table(path: Path, columns: Sequence[str]) -> list[TableRow]:
    """The rows of a table that must have `columns`; rows without any value are passed over.

    Args:
        path: CSV, by comma, semicolon or tab, whichever yields the columns; UTF-8 with or without BOM.
        columns: as `column_name` spells them.

    Raises:
        ManifestError: not readable as text, a column is missing, or a row has too few or too many cells.
    """
    text = _text(path)
    header, body = min(
        (_split(path, text, separator) for separator in _SEPARATORS),
        key=lambda table: len(set(columns) - set(table[0])),
    )
    missing = [column for column in columns if column not in header]
    if missing:
        raise ManifestError(
            f"{path}: expected the columns {', '.join(columns)}, separated by "
            f"{', '.join(_SEPARATORS.values())}; found {', '.join(header) or 'an empty file'}; "
            f"missing: {', '.join(missing)}. Use the table as the data set publishes it."
        )
    rows = []
    for number, cells in enumerate(body, start=1):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ManifestError(
                f"{path}, row {number}: expected {len(header)} cells, got {len(cells)}. "
                "Was the table cut off, or saved with another separator?"
            )
        values = {name: " ".join(cell.split()) for name, cell in zip(header, cells, strict=True)}
        rows.append(TableRow(path, number, values))
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: expected UTF-8 text: {error}. Save the table as CSV, UTF-8.") from error
    except OSError as error:
        raise ManifestError(f"{path}: the table cannot be read: {error.strerror}.") from error


def _split(path: Path, text: str, separator: str) -> tuple[list[str], list[list[str]]]:
    try:
        # newline="" leaves line breaks inside quotes, LF or CRLF, to the CSV parser.
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise ManifestError(f"{path}: cannot be read as CSV: {error}.") from error
    header = next((line for line in lines if any(line)), [])
    return [column_name(cell) for cell in header], lines[lines.index(header) + 1 :] if header else []
