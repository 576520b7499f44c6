"""A table of boxes (CSV by comma, semicolon, tab or bar), its columns known by their usual names."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.annotated import (
    AnnotatedImage,
    Target,
    bare_name,
    note_scores,
    without_repeats,
)
from mammo_monai.readers.annotations.boxes import box_inside, check_stated_size
from mammo_monai.readers.annotations.lesion_types import says_normal
from mammo_monai.readers.annotations.names import plain_path
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.categories import birads_category
from mammo_monai.readers.tables import TableRow, read_table
from mammo_monai.records import Lesion, label_of

SUFFIXES = (".csv", ".tsv")
SEPARATORS = (",", ";", "\t", "|")
# By what a column means: its names without blanks, hyphens and underscores, lower case; the best first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "image": (
        *("filepath", "imagepath", "relativepath", "path", "filename", "imagefilename", "imagefile", "file"),
        *("image", "imagename", "img", "dicompath", "dicomfile", "imageid", "imageuid"),
    ),
    "file": ("filename", "imagefilename", "imagefile", "file"),  # held against a path in another column
    "uid": ("sopinstanceuid", "sopuid", "uid"),
    "x_min": ("xmin", "x1", "left", "bboxxmin", "bboxx1", "boxxmin", "minx", "x0"),
    "y_min": ("ymin", "y1", "top", "bboxymin", "bboxy1", "boxymin", "miny", "y0"),
    "x_max": ("xmax", "x2", "right", "bboxxmax", "bboxx2", "boxxmax", "maxx"),
    "y_max": ("ymax", "y2", "bottom", "bboxymax", "bboxy2", "boxymax", "maxy"),
    "x": ("x", "bboxx", "boxx"),
    "y": ("y", "bboxy", "boxy"),
    "width": ("w", "bboxw", "bboxwidth", "boxw", "boxwidth", "width"),
    "height": ("h", "bboxh", "bboxheight", "boxh", "boxheight", "height"),
    "image_width": ("imagewidth", "imgwidth", "imgw", "columns"),
    "image_height": ("imageheight", "imgheight", "imgh", "rows"),
    "class": (
        *("label", "class", "classname", "category", "categoryname", "lesiontype", "type"),
        *("abnormalitytype", "abnormality", "finding", "findings", "findingcategory"),
    ),
    "patient": ("patientid", "patient", "subjectid", "subject", "pid"),
    "laterality": ("laterality", "imagelaterality", "side", "leftorrightbreast", "breast"),
    "view": ("viewposition", "view", "imageview", "projection"),
    "split": ("split", "subset", "partition", "set"),
    "birads": ("breastbirads", "birads", "assessment", "findingbirads"),
    "density": ("breastdensity", "density", "acr"),
    "pathology": ("pathology",),
    "score": (
        *("score", "scores", "confidence", "conf", "probability", "prob", "detectionscore"),
        *("predscore", "predictionscore", "classscore"),
    ),
}
_NONE: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_IMAGE_FIELDS = ("patient", "laterality", "view", "split", "birads", "density", "pathology")
_EMPTY = {"", "nan", "na", "n/a", "none", "null", "-"}
# A formula of a spreadsheet that failed: no word for a patient, a side or a class. In a box it is a fault.
_FAILED = {"#n/a", "#name?", "#ref!", "#value!", "#null!", "#div/0!", "#num!"}


@dataclass(frozen=True)
class BoxColumns:
    """The table's own column names by what they mean, the cells of a box, and what its rows hold.

    Attributes:
        has_classes: whether any row has a class. stems: of the images that its rows name.
    """

    by_meaning: Mapping[str, str]
    corners: tuple[str, ...]
    has_sizes: bool
    has_classes: bool = False
    stems: frozenset[str] = frozenset()

    def text(self, row: TableRow, meaning: str) -> str:
        """The cell, "" where it is empty or the table has no such column."""
        cell = row.values.get(self.by_meaning.get(meaning, ""), "")
        return "" if cell.casefold() in _EMPTY | _FAILED else cell


def is_table(path: Path) -> bool:
    """Whether a file is a table of boxes: by its name and the columns it begins with."""
    return path.suffix.lower() in SUFFIXES and box_columns(table_header(path)) is not None


def read_csv(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per image of the tables; a row per box, or a row without a box for a normal image.

    A box is `x_min, y_min, x_max, y_max` or `x, y, width, height` in pixels, half-open. Where corners are
    given, `width` and `height` are the image's and must agree with it. A row that names a lesion but has
    no box is a fault: its image is not normal.

    Raises:
        ManifestError: no table, columns of image or box missing, or rows cut short.
    """
    return [image for path in files for image in _read(path)]


def _read(path: Path) -> list[AnnotatedImage]:
    header = table_header(path)
    columns = box_columns(header)
    if columns is None:
        read_table(path, ())  # a spreadsheet, or UTF-16 without its mark, has a clearer error
        raise ManifestError(
            f"{path}: expected columns for the image (file_name, path, image_id, SOPInstanceUID) and the box "
            f"(xmin, ymin, xmax, ymax or x, y, width, height); found {', '.join(header) or 'nothing':.300}."
        )
    by_image: dict[tuple[str, ...], list[TableRow]] = defaultdict(list)
    rows = read_table(path, [*columns.by_meaning.values()])
    columns = replace(
        columns,
        has_classes=any(columns.text(row, "class") for row in rows),
        stems=frozenset(_stem(columns.text(row, "image")) for row in rows),
    )
    for row in rows:
        by_image[_image_names(columns, row)].append(row)
    return [_annotated(names, rows, columns) for names, rows in by_image.items()]


def table_header(path: Path) -> list[str]:
    """Column names as `read_table` spells them, by the separator that yields most."""
    try:
        with path.open("rb") as stream:
            is_utf16 = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if is_utf16 else "utf-8-sig"
        with path.open(encoding=encoding, errors="replace") as stream:
            # Spreadsheets write their separator above the header.
            lines = (line for line in stream if line.strip() and not line.lower().startswith("sep="))
            line = next(lines, "")
        tables = [next(csv.reader([line], delimiter=separator), []) for separator in SEPARATORS]
    except OSError as error:
        raise ManifestError(f"{path}: the table cannot be read: {error.strerror}.") from error
    except csv.Error:
        return []
    return [" ".join(cell.replace("_", " ").lower().split()) for cell in max(tables, key=len)]


def box_columns(header: Sequence[str], more: Mapping[str, tuple[str, ...]] = _NONE) -> BoxColumns | None:
    """What the columns of a table mean; None where image or box have no column.

    Args:
        header: as `table_header` gives it.
        more: further names of columns, by what they mean; a `record` names an image too.
    """
    plain = {re.sub(r"[\s_\-]", "", name): name for name in reversed(header)}
    found = {
        meaning: plain[name]
        for meaning in {**_NAMES, **more}
        if (name := next((name for name in _names(meaning, more) if name in plain), None)) is not None
    }
    has_corners = {"x_min", "y_min", "x_max", "y_max"} <= found.keys()
    if has_corners:  # then width and height are the image's
        for axis in ("width", "height"):
            own = found.pop(axis, None)
            if own is not None:
                found.setdefault(f"image_{axis}", own)
        corners = tuple(found[name] for name in ("x_min", "y_min", "x_max", "y_max"))
    else:
        x, y = found.get("x", found.get("x_min")), found.get("y", found.get("y_min"))
        sizes = (found.get("width"), found.get("height"))
        corners = tuple(name for name in (x, y, *sizes) if name is not None)
    if len(corners) < 4 or not found.keys() & {"image", "uid", "record"}:
        return None
    return BoxColumns(found, corners, has_sizes=not has_corners)


def _names(meaning: str, more: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return (*_NAMES.get(meaning, ()), *more.get(meaning, ()))


def _image_names(columns: BoxColumns, row: TableRow) -> tuple[str, ...]:
    names = tuple(text for meaning in ("uid", "image") if (text := columns.text(row, meaning)))
    if not names:
        raise ManifestError(f"{row.where}: expected the name of an image, got an empty cell. Fill it in.")
    return names


def _annotated(names: tuple[str, ...], rows: Sequence[TableRow], columns: BoxColumns) -> AnnotatedImage:
    first = rows[0]
    fields = {
        name: text
        for name in _IMAGE_FIELDS
        if (text := next((text for row in rows if (text := columns.text(row, name))), ""))
    }
    return AnnotatedImage(
        names=names,
        uid=columns.text(first, "uid"),
        where=first.where,
        lesions=partial(_lesions, rows, columns),
        fields=fields,
        place=_place(first),
        is_part=True,
        is_agreed=True,
    )


def _stem(name: str) -> str:
    return bare_name(PurePosixPath(plain_path(name)).name).casefold()


def _place(row: TableRow) -> str:
    return f"{row.table.suffix.lstrip('.').upper()} row {row.number}"


def _lesions(rows: Sequence[TableRow], columns: BoxColumns, target: Target) -> list[Lesion]:
    _refuse_contradictions(rows, columns)
    found = [_lesion(row, columns, target) for row in rows]
    lesions = [lesion for lesion in found if lesion is not None]
    if lesions and any(says_normal(columns.text(row, "class")) for row in rows):
        said = "a row says that the image is normal, another one holds a lesion; the lesion holds"
        target.audit.note("finding-contradicted", target.record_id, said, place=_place(rows[0]))
    note_scores([table_number(columns.text(row, "score")) for row in rows], target, _place(rows[0]))
    return without_repeats(lesions, target)


def _refuse_contradictions(rows: Sequence[TableRow], columns: BoxColumns) -> None:
    for row in rows:
        path, file = _stem(columns.text(row, "image")), _stem(columns.text(row, "file"))
        if path and file != path and file in columns.stems - {""}:
            found = "two columns of the row name two images of the table"
            remedy = "Are its columns sorted apart? Mend the table, or leave the wrong column out."
            raise InvalidRecordError("annotation-ambiguous", row.where, found, remedy)
    for name in ("patient", "laterality", "view", "split"):
        said = {text.casefold() for row in rows if (text := columns.text(row, name))}
        if len(said) > 1:
            found = f"the rows of one image differ in {name}"
            raise InvalidRecordError("identity-differs", rows[0].where, found, "Mend the table.")


def _lesion(row: TableRow, columns: BoxColumns, target: Target) -> Lesion | None:
    stated = (table_number(columns.text(row, "image_width")), table_number(columns.text(row, "image_height")))
    check_stated_size(stated, target.header, row.where, "the table")
    cells = [row.values[name] for name in columns.corners]
    name = columns.text(row, "class")
    is_unnamed = columns.has_classes and not name and row.values[columns.corners[0]].casefold() not in _EMPTY
    if is_unnamed:
        remedy = "Fill the cell in; or take the column out, where all are masses."
        found = "the row has a box but no class, where other rows have one"
        raise InvalidRecordError("class-unknown", row.where, found, remedy)
    kind = target.types.type_of(name or target.types.category)
    is_empty = [cell.casefold() in _EMPTY for cell in cells]
    if all(is_empty):
        if name and kind is not None:
            found = f"the row says {name!r} but has no box"
            remedy = "Give its box; or, where that word means no lesion, say --class NAME=ignore."
            raise InvalidRecordError("box-missing", row.where, found, remedy)
        return None
    numbers = [table_number(cell) for cell in cells]
    if kind is None:
        if says_normal(name) and any(number not in (0, -1) for number in numbers):
            said = f"a row says {name!r:.40} and has a box; it is no lesion"
            target.audit.note("box-unexpected", target.record_id, said, place=_place(row))
        return None
    if columns.has_sizes and all(isinstance(number, float) for number in numbers):
        x, y, width, height = numbers
        numbers = [x, y, x + width, y + height]
    box = box_inside(numbers, target.header, row.where, "the row", clip=target.clip)
    pathology = columns.text(row, "pathology") or None
    return Lesion(
        box, str(row.number), kind, label_of(kind), pathology=pathology, birads=_birads(row, columns)
    )


def table_number(text: str) -> Any:
    """A number; other text stays as it is, for the message, and "" is None."""
    try:
        number = float(text) if text else None
    except ValueError:
        return text
    if "_" in text:  # Python's way to write thousands; in a table a slip
        return text
    return number if number is None or math.isfinite(number) else text


def _birads(row: TableRow, columns: BoxColumns) -> int | None:
    try:
        return birads_category(columns.text(row, "birads"))
    except ValueError as error:
        raise InvalidRecordError("grade-unknown", row.where, str(error)) from None
