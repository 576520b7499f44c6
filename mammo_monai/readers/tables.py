"""Reads a data set's own tables: CSV as it was published, or as spreadsheets and downloads left it.

Accepted: UTF-8 with or without its mark (BOM), UTF-16 with it, Latin-1, LF, CRLF or CR, line breaks inside
quotes, four separators, empty columns at the right, a header that stands again further down. Refused, with
the row: cells too few or too many, quotes without an end, NUL bytes; a table that lost a row lost lesions.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import InvalidRecordError

T = TypeVar("T")
MAX_TABLE_BYTES = 256 * 2**20
"""The largest table known here has 20 486 rows and 5 MB; what is larger than this is no table."""
UNKNOWN_MARKS = ("", "nan", "none", "null", "n/a")
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SPREADSHEETS = {b"PK\x03\x04": ".xlsx", b"\xd0\xcf\x11\xe0": ".xls"}
_BOM = "\ufeff"  # in the middle where files were joined
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)


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
        """Table with its path and row, for messages on stderr."""
        return f"{self.table}, row {self.number}"

    @property
    def place(self) -> str:
        """Table and row without a path, for audit.csv."""
        return f"{self.table.name} row {self.number}"

    def fault(self, column: str, expected: str) -> InvalidRecordError:
        """The error for a value that cannot be read."""
        found = f"{column!r} must be {expected}, got {self.values[column]!r:.80}"
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
        number = text.removesuffix(".0") or text  # as programs write whole numbers beside empty cells
        if number in unknown:
            return None
        # A longer one is out of any range, and Python refuses to convert thousands of digits.
        if not (number.isascii() and number.isdigit() and len(number) < 20 and low <= int(number) <= high):
            raise self.fault(column, f"a whole number from {low} to {high}")
        return int(number)

    def decimal(self, column: str) -> float | None:
        """The number in a column, with a point; None where the cell holds one of `UNKNOWN_MARKS`.

        Raises:
            InvalidRecordError: no number, or an infinite one.
        """
        text = self.values[column]
        if text.lower() in UNKNOWN_MARKS:
            return None
        if _DECIMAL.fullmatch(text) is None or not math.isfinite(float(text)):
            raise self.fault(column, "a number with a decimal point")
        return float(text)


def column_name(text: str) -> str:
    """One spelling for the variants of a column's name.

    >>> column_name("Breast_Density "), column_name("breast density")
    ('breast density', 'breast density')
    """
    return " ".join(text.replace("_", " ").lower().split())


def read_table(path: Path, columns: Sequence[str]) -> list[TableRow]:
    """The rows of a CSV table that must have `columns`; rows without any value are passed over.

    Args:
        path: CSV by comma, semicolon, tab or bar, whichever yields most of the columns.
        columns: as `column_name` spells them.

    Raises:
        ManifestError: not readable as text, a column is missing or stands twice, or a row has too few or
            too many cells.
    """
    text = _text(path)
    separator = max(_SEPARATORS, key=lambda each: len(set(columns) & set(_first_line(text, each))))
    return table_rows(path, _lines(path, text, separator), columns)


def table_rows(path: Path, lines: Iterable[Sequence[str]], columns: Sequence[str]) -> list[TableRow]:
    """The rows of a table already cut into cells; the first line with a value is the header.

    Raises:
        ManifestError: as `read_table`.
    """
    remaining = iter(lines)
    header = _names(next((line for line in remaining if any(line)), []))
    _check_header(path, header, columns)
    rows = []
    for number, cells in enumerate(remaining, start=1):
        if not any(cell.strip() for cell in cells) or _is_header_again(cells, header):
            continue
        if len(columns) > 1 and set(columns) <= set(_names(cells)):
            raise ManifestError(
                f"{path}, row {number}: expected a row, found another header: its columns stand in another "
                "order, or are others. Are these two tables? Save each as a file of its own."
            )
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            raise ManifestError(
                f"{path}, row {number}: expected {len(header)} cells, got {len(cells)}. "
                "Was the table cut off, or saved with another separator? Download it again."
            )
        values = {name: " ".join(cell.split()) for name, cell in zip(header, cells, strict=False) if name}
        rows.append(TableRow(path, number, values))
    return rows


def _names(cells: Sequence[str]) -> list[str]:
    """Spreadsheets write empty columns at the right; they are no columns."""
    names = [column_name(cell.removeprefix(_BOM)) for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _is_header_again(cells: Sequence[str], header: Sequence[str]) -> bool:
    return header[:1] == [column_name(cells[0].removeprefix(_BOM))] and _names(cells) == header


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    if missing := [column for column in columns if column not in header]:
        found = ", ".join(header) or "an empty file"
        raise ManifestError(
            f"{path}: expected the columns {', '.join(columns)}, separated by "
            f"{', '.join(_SEPARATORS.values())}; found {found:.300}; "
            f"missing: {', '.join(missing)}. Use the table as the data set publishes it."
        )
    if twice := [column for column in columns if header.count(column) > 1]:
        raise ManifestError(
            f"{path}: expected each column once, found {', '.join(twice)} more than once. "
            "Nobody can say which holds: use the table as the data set publishes it."
        )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ManifestError(
                f"{path}: expected a table of at most {MAX_TABLE_BYTES} bytes, got {path.stat().st_size}. "
                "Is it the right file?"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: the table cannot be read: {error.strerror}.") from error
    text = _decoded(path, raw)
    if "\0" in text:
        raise ManifestError(
            f"{path}: expected text, found NUL bytes. It is damaged or no table: download it again, "
            "or save it as CSV, UTF-8."
        )
    # Spreadsheets write their separator above the header.
    return text.partition("\n")[2] if text[:4].lower() == "sep=" else text


def _decoded(path: Path, raw: bytes) -> str:
    if kind := _SPREADSHEETS.get(raw[:4]):
        raise ManifestError(
            f"{path}: expected CSV, found a spreadsheet ({kind}). Save the sheet as CSV, UTF-8."
        )
    is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        if is_utf16:
            raise ManifestError(
                f"{path}: expected text in UTF-16, as its first bytes say: {error}. Save it as CSV, UTF-8."
            ) from error
        # Accents in remarks, written by a spreadsheet. Names and numbers are ASCII, and checked where read.
        return raw.decode("latin-1")


def _lines(path: Path, text: str, separator: str) -> Iterator[list[str]]:
    # newline="" leaves line breaks inside quotes, LF or CRLF, to the parser; strict: without it a quote that
    # never ends would swallow all rows below.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise ManifestError(
            f"{path}, line {reader.line_num}: cannot be read as CSV: {error}. Download the table again."
        ) from error


def _first_line(text: str, separator: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return _names(next((line for line in reader if any(line)), []))
    except csv.Error:
        return []
