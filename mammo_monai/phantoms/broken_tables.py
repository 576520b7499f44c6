"""Faults of tables: the other side, columns exchanged, other delimiters, marks and line breaks."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.phantoms.written_tree import PhantomImage, tables_of

_OTHER_SIDE = {"LEFT": "RIGHT", "RIGHT": "LEFT", "L": "R", "R": "L"}
_LATERALITY_COLUMNS = ("left or right breast", "Laterality")
_CROP, _MASK = "cropped image file path", "ROI mask file path"


def name_other_side(image: PhantomImage) -> str:
    """Exchanges left and right in the rows of an image; file and pixels stay."""
    for table in tables_of(image.root):
        column = next(table.header.index(name) for name in _LATERALITY_COLUMNS if name in table.header)
        for row in table.rows_of(image):
            row[column] = _OTHER_SIDE[row[column]]
        table.save()
    return "the other side in the table"


def swap_crop_and_mask(image: PhantomImage) -> str:
    """Exchanges the paths of crop and mask in the rows of an image."""
    for table in tables_of(image.root):
        crop, mask = table.header.index(_CROP), table.header.index(_MASK)
        for row in table.rows_of(image):
            row[crop], row[mask] = row[mask].strip(), row[crop] + "\n"
        table.save()
    return "crop and mask exchanged in the table"


def change_delimiter(root: Path) -> str:
    """Commas become semicolons and the other way round, as spreadsheets of some countries write them."""
    for table in tables_of(root):
        table.save(";" if b"," in table.path.read_bytes().splitlines()[0] else ",")
    return "semicolons for commas in the tables, or the other way round"


def take_unknown_delimiter(root: Path) -> str:
    """Writes the tables with carets between the cells, which no program does and no reader should guess."""
    for table in tables_of(root):
        table.save("^")
    return "carets between the cells of the tables"


def cut_short(root: Path) -> str:
    """Ends the tables in the middle of their last row, as a download that broke off does."""
    for table in tables_of(root):
        raw = table.path.read_bytes().rstrip()
        last = len(raw) - raw.rindex(b"\n" + table.rows[-1][0].encode("ascii"))
        table.path.write_bytes(raw[: -last // 2])
    return "the last row of each table cut off in its middle"


def add_byte_order_mark(root: Path) -> str:
    """Puts the mark of UTF-8 before the tables, as spreadsheets do."""
    for table in tables_of(root):
        table.path.write_bytes(b"\xef\xbb\xbf" + table.path.read_bytes())
    return "a byte order mark before the tables"


def change_line_breaks(root: Path) -> str:
    """CRLF becomes LF and the other way round, those inside quotes included."""
    for table in tables_of(root):
        lines = table.path.read_bytes().split(b"\r\n")
        table.path.write_bytes(b"\n".join(line.replace(b"\n", b"\r\n") for line in lines))
    return "LF for CRLF in the tables, and the other way round"
