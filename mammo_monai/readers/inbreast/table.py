"""INbreast's table, published twice, as INbreast.csv and INbreast.xls: one row per image, by file number."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.inbreast.files import CSV, WORKBOOK, InbreastFiles
from mammo_monai.readers.reading import Reading
from mammo_monai.readers.tables import MAX_TABLE_BYTES, TableRow, read_table, table_rows

logger = logging.getLogger(__name__)

COLUMNS = ("laterality", "view", "file name", "acr", "bi-rads")
MASS_MARK = "mass"  # a column of the workbook alone: "X" where the image shows a mass
# As spreadsheets and people write it: 22678622.0, 22678622.dcm, or the whole name of the file.
_NUMBER = re.compile(r"(\d{1,20})(?:\.0|(?:_\w+)?(?:\.dcm|\.dicom)?)?", re.ASCII | re.IGNORECASE)
Rows = Mapping[str, tuple[TableRow, ...]]


@dataclass(frozen=True)
class TableEntry:
    """What the tables say of one image.

    Attributes:
        number: the file number; a question mark and the row where the row names none.
        rows: of one table; more than one where the number stands twice.
        differing: the columns in which the other table says something else.
        marks_mass: whether the workbook marks a mass; None where there is no workbook.
    """

    number: str
    rows: tuple[TableRow, ...]
    differing: tuple[str, ...] = ()
    marks_mass: bool | None = None


def read_entries(files: InbreastFiles, reading: Reading) -> list[TableEntry]:
    """One entry per image in the order of the CSV file; images that only the workbook has come after.

    One table may be unreadable if the other is not: a finding says so, and so does one for images that stand
    in one table alone.

    Raises:
        ManifestError: no table can be read.
    """
    tables = _readable_tables(files, reading)
    rows, others = tables[0], tables[1] if len(tables) > 1 else {}
    workbook = next((table for table in tables if any(MASS_MARK in r[0].values for r in table.values())), {})
    if others and rows.keys() ^ others.keys():
        count = len(rows.keys() ^ others.keys())
        reading.audit.note("tables-differ", "", f"{count} images stand in {CSV} or {WORKBOOK} alone")
    return [
        TableEntry(number, found, _differing(found, others.get(number, ())), _mark(workbook.get(number, ())))
        for number, found in {**others, **rows}.items()
    ]


def read_workbook(path: Path, columns: Sequence[str]) -> list[TableRow]:
    """The rows of the first sheet of an .xls file that has the columns.

    Raises:
        ManifestError: no workbook of that format, or no sheet with the columns.
    """
    import xlrd  # noqa: PLC0415  # only where a workbook is read

    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise ValueError(f"expected at most {MAX_TABLE_BYTES} bytes, got {path.stat().st_size}")
        with path.open("rb") as stream:
            book = xlrd.open_workbook(file_contents=stream.read(), logfile=_Silence())
        lines = [_cells(book.sheet_by_index(0).row_values(n)) for n in range(book.sheet_by_index(0).nrows)]
    except Exception as error:  # xlrd raises whatever bytes that break its expectations bring about
        raise ManifestError(
            f"{path}: expected an Excel 97 workbook, but it cannot be read "
            f"({type(error).__name__}: {error!s:.120}). Download it again."
        ) from error
    return table_rows(path, lines, columns)


class _Silence:
    """xlrd writes complaints about a file to its log, by default to stdout."""

    def write(self, _: str) -> None:
        """Writes nothing."""

    def flush(self) -> None:
        """Flushes nothing."""


def _cells(values: Sequence[object]) -> list[str]:
    """A sheet's numbers are floats: 22678622.0 is a file number, 4.0 a category."""
    return [
        str(int(value)) if isinstance(value, float) and value.is_integer() else str(value) for value in values
    ]


def _readable_tables(files: InbreastFiles, reading: Reading) -> list[Rows]:
    readers: list[tuple[Path | None, Callable[[Path, Sequence[str]], list[TableRow]]]] = [
        (files.csv, read_table),
        (files.workbook, read_workbook),
    ]
    tables: list[Rows] = []
    faults: list[tuple[str, ManifestError]] = []
    for name, (path, read) in zip((CSV, WORKBOOK), readers, strict=True):
        try:
            if path is not None:
                tables.append(_by_number(read(path, COLUMNS)))
        except ManifestError as error:
            faults.append((name, error))
    if not tables:
        raise faults[0][1]
    for name, fault in faults:
        logger.warning("%s The other table is used.", fault)
        found = "one of the two tables cannot be read; the other one is used"
        reading.audit.note("table-unusable", "", found, place=name)
    return tables


def _by_number(rows: Sequence[TableRow]) -> Rows:
    found: dict[str, tuple[TableRow, ...]] = defaultdict(tuple)
    for row in _image_rows(rows):
        match = _NUMBER.fullmatch(row.values["file name"])
        found[match[1] if match else f"? {row.place}"] += (row,)
    return dict(found)


def _image_rows(rows: Sequence[TableRow]) -> Iterator[TableRow]:
    """All rows but the totals below the table, which name neither a side nor a view, nor but a sum a file."""
    for row in rows:
        is_total = any(value.casefold().startswith("total") for value in row.values.values())
        has_view = bool(row.values["laterality"] or row.values["view"])
        if has_view or (row.values["file name"] and not is_total):
            yield row


def _differing(found: Sequence[TableRow], others: Sequence[TableRow]) -> tuple[str, ...]:
    if not others:
        return ()
    first, second = found[0].values, others[0].values
    return tuple(
        name for name in COLUMNS if name != "file name" and _plain(first[name]) != _plain(second[name])
    )


def _plain(text: str) -> str:
    return text.casefold().removesuffix(".0")


def _mark(rows: Sequence[TableRow]) -> bool | None:
    return bool(rows[0].values[MASS_MARK]) if rows else None
