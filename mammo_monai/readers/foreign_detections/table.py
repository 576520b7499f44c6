"""A table of marks: a row per mark with image, box and score; an image without a mark may have an empty row.

Columns are known by their usual names, as those of annotations. Boxes are corners, or x, y, width, height by
the header, in pixels of the image that was marked. Refused: a table without scores, a box without a score.
"""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.readers.annotations.csv_boxes import BoxColumns, box_columns, table_header, table_number
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.foreign_detections.marks import (
    ForeignImage,
    ForeignMark,
    ForeignMarks,
    checked_mark,
    finite,
)
from mammo_monai.readers.tables import TableRow, read_table

# Beyond the columns of annotations, spelt as there: without blanks, hyphens and underscores, lower case.
_MORE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "record": ("recordid",),
        "class": ("classid", "categoryid", "labelid", "predclass", "predlabel"),
    }
)


def read_table_of_marks(path: Path, types: LesionTypes) -> ForeignMarks:
    """The marks of a CSV table, by comma, semicolon, tab or bar, by image.

    Raises:
        ManifestError: no table, columns missing, or rows cut short.
    """
    header = table_header(path)
    columns = box_columns(header, _MORE)
    if columns is None or "score" not in columns.by_meaning:
        _refuse_json(path)
        read_table(path, ())  # a spreadsheet, or UTF-16 without its mark, has a clearer error
        raise ManifestError(
            f"{path}: expected columns for the image (file_name, path, record_id), the box (xmin, ymin, "
            "xmax, ymax or x, y, width, height) and the score (score, confidence); found "
            f"{', '.join(header) or 'nothing':.300}."
        )
    rows = read_table(path, [*columns.by_meaning.values()])
    columns = replace(columns, has_classes=any(columns.text(row, "class") for row in rows))
    by_image: dict[tuple[str, ...], list[TableRow]] = defaultdict(list)
    for row in rows:
        by_image[_key(columns, row)].append(row)
    images = [_image(key, found, columns, types) for key, found in by_image.items()]
    return ForeignMarks(images, ((path.name, sha256_of(path)),))


def _refuse_json(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(64).removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith((b"[", b"{")):
        raise ManifestError(
            f"{path}: expected a table, found JSON. COCO results go through `mammo-monai detections coco`."
        )


def _key(columns: BoxColumns, row: TableRow) -> tuple[str, ...]:
    """Record id, SOPInstanceUID, name: as far as there are any; the record id comes first, if empty."""
    record_id = columns.text(row, "record")
    names = tuple(text for meaning in ("image", "uid") if (text := columns.text(row, meaning)))
    if not record_id and not names:
        raise ManifestError(f"{row.where}: expected the name of an image, got an empty cell. Fill it in.")
    return record_id, *names


def _image(
    key: tuple[str, ...], rows: Sequence[TableRow], columns: BoxColumns, types: LesionTypes
) -> ForeignImage:
    marked = [row for row in rows if not _is_unmarked(row, columns)]
    return ForeignImage(
        names=key[1:],
        source=str(rows[0].table),
        unit="row",
        n_marks=len(marked),
        read=partial(_marks, marked, columns, types),
        record_id=key[0],
        size=_size(rows, columns),
    )


def _is_unmarked(row: TableRow, columns: BoxColumns) -> bool:
    cells = (*(row.values[name] for name in columns.corners), row.values[columns.by_meaning["score"]])
    return not any(cells)


def _size(rows: Sequence[TableRow], columns: BoxColumns) -> tuple[float, float] | None:
    """Width and height of the image that was marked, where the table has columns for them."""
    said = {
        tuple(table_number(columns.text(row, name)) for name in ("image_width", "image_height"))
        for row in rows
    }
    if len(said) > 1:
        raise ManifestError(f"{rows[0].where}: the rows of one image differ in its size. Mend the table.")
    width, height = (finite(each) for each in said.pop())
    return (width, height) if width and height else None


def _marks(rows: Sequence[TableRow], columns: BoxColumns, types: LesionTypes) -> list[ForeignMark]:
    return [_mark(row, columns, types) for row in rows]


def _mark(row: TableRow, columns: BoxColumns, types: LesionTypes) -> ForeignMark:
    name = columns.text(row, "class")
    if columns.has_classes and not name:
        raise ManifestError(
            f"{row.where}: the row has a box but no class, where other rows have one. Fill the cell in; or "
            "take the column out, where all are masses."
        )
    numbers = [table_number(row.values[column]) for column in columns.corners]
    score = table_number(row.values[columns.by_meaning["score"]])
    if columns.has_sizes and all(isinstance(each, float) for each in numbers):
        x, y, width, height = numbers
        numbers = [x, y, x + width, y + height]
    return checked_mark(numbers, score, types.type_of(name or types.category), row.where, row.number)
