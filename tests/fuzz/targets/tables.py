"""Fuzz targets: the tables that data sets publish, in CSV and in Excel 97, and our own audit.csv."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from mammo_monai.readers.annotations.csv_boxes import read_csv
from mammo_monai.readers.annotations.yolo import read_yolo
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.case_tables import CASE_COLUMNS, read_case_table
from mammo_monai.readers.inbreast.files import InbreastFiles
from mammo_monai.readers.inbreast.table import COLUMNS as INBREAST_COLUMNS
from mammo_monai.readers.inbreast.table import read_entries, read_workbook
from mammo_monai.readers.reading import Reading
from mammo_monai.readers.tables import read_table
from mammo_monai.readers.vindr.table import FINDING_COLUMNS, FINDINGS, finding_categories, read_image_rows
from mammo_monai.schema.audit import AUDIT_COLUMNS, read_audit
from tests.fuzz.harness import Target
from tests.fuzz.targets.annotation_image import reads_lesions

_CASE = {
    "patient id": "P_00001",
    "breast density": "3",
    "left or right breast": "LEFT",
    "image view": "CC",
    "abnormality id": "1",
    "abnormality type": "mass",
    "assessment": "4",
    "pathology": "MALIGNANT",
    "subtlety": "4",
    "image file path": "Mass-Training_P_00001_LEFT_CC/1.3.6/1.3.7/000000.dcm",
    "cropped image file path": "Mass-Training_P_00001_LEFT_CC_1/1.3.8/1.3.9/000001.dcm",
    "roi mask file path": "Mass-Training_P_00001_LEFT_CC_1/1.3.8/1.3.9/000000.dcm",
}
_FINDING = {
    "image id": "a" * 32,
    "study id": "b" * 32,
    "laterality": "R",
    "view position": "MLO",
    "height": "3518",
    "width": "2800",
    "breast birads": "BI-RADS 4",
    "breast density": "DENSITY C",
    "split": "training",
    "finding categories": "['Mass', 'Suspicious Calcification']",
    "finding birads": "BI-RADS 4",
    "xmin": "10.5",
    "ymin": "20.0",
    "xmax": "30.25",
    "ymax": "60.0",
}
_INBREAST = {"laterality": "Left", "view": "CC", "file name": "22678622", "acr": "2", "bi-rads": "4a"}
_BOX = {"image": "image.png", "xmin": "10", "ymin": "20", "xmax": "31", "ymax": "45", "class": "mass"}
_NBIA = {"series uid": "1.3.6", "subject id": "Mass-Training_P_00001", "file location": ".\\a\\b"}
_WORDS = (
    *(b",", b";", b"\t", b"|", b'"', b'""', b"\r\n", b"\r", b"\n", b"\0", b"sep=;\n", b"nan", b"1e999"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xe9", b"-1", b"9" * 5000, b"'" * 40, b"[" * 2000),
    *(b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b" ", b"=cmd|' /C calc'!A0", "١".encode(), b"\xed\xa0\x80"),
)


def _csv(rows: Sequence[Mapping[str, str]], separator: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _variants(row: Mapping[str, str]) -> list[bytes]:
    """A table of two rows as its publisher, a German spreadsheet and a Windows editor leave it."""
    plain = _csv([row, row])
    return [plain, _csv([row, row], ";"), plain.decode().encode("utf-16")]


def _read_inbreast(path: Path) -> object:
    return read_entries(InbreastFiles(path, None, {}, {}), Reading("salt"))


def _read_vindr(path: Path) -> object:
    images = read_image_rows({FINDINGS: path}, Audit())
    for each in images:
        for row in each.findings:
            for column in ("height", "width"):
                row.whole_number(column, 1, 100_000)
            for column in ("xmin", "ymin", "xmax", "ymax"):
                row.decimal(column)
    return images


def _read_categories(path: Path) -> object:
    try:
        return finding_categories(path.read_text(encoding="latin-1"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _workbook() -> list[bytes]:
    """A sheet of two rows as BIFF records without a compound file around them, and BIFF 2 to 4 likewise."""

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    def label(row: int, column: int, text: str, version: int) -> bytes:
        raw = text.encode()
        if version == 2:
            return record(0x04, struct.pack("<HH3xB", row, column, len(raw)) + raw)
        return record(0x204, struct.pack("<HHHH", row, column, 0, len(raw)) + raw)

    lines = [list(INBREAST_COLUMNS), [_INBREAST[name] for name in INBREAST_COLUMNS]]
    found = []
    for version, start in ((2, 0x0009), (3, 0x0209), (4, 0x0409)):
        cells = [
            label(row, column, text, version)
            for row, line in enumerate(lines)
            for column, text in enumerate(line)
        ]
        begin = record(start, struct.pack("<HH", version, 0x10) + (b"\0\0" if version > 2 else b""))
        found.append(begin + b"".join(cells) + record(0x0A, b""))
    return found


TARGETS = (
    Target(
        "cbis_case_table",
        ".csv",
        read_case_table,
        lambda: _variants({name: _CASE.get(name, "") for name in CASE_COLUMNS}),
        dictionary=(*_WORDS, b"left or right breast", b"RIGHT", b"BENIGN_WITHOUT_CALLBACK"),
    ),
    Target(
        "nbia_listing",
        ".csv",
        lambda path: read_table(path, tuple(_NBIA)),
        lambda: _variants(_NBIA),
        dictionary=_WORDS,
    ),
    Target(
        "vindr_table",
        ".csv",
        _read_vindr,
        lambda: _variants({name: _FINDING[name] for name in FINDING_COLUMNS}),
        dictionary=(*_WORDS, b"['No Finding']", b"BI-RADS 5"),
    ),
    Target(
        "vindr_categories",
        ".txt",
        _read_categories,
        lambda: [b"['Mass', \"Nipple Retraction\"]", b"No Finding", b"['Mass',]"],
        refusals=(ValueError,),
        dictionary=(b"'", b'"', b"[", b"]", b",", b" ", b"'a'," * 400, b"''" * 400, b" , " * 300),
    ),
    Target(
        "inbreast_table",
        ".csv",
        _read_inbreast,
        lambda: _variants({name: _INBREAST[name] for name in INBREAST_COLUMNS}),
        dictionary=(*_WORDS, b"bi-rads", b"4.0"),
    ),
    Target(
        "inbreast_workbook",
        ".xls",
        lambda path: read_workbook(path, INBREAST_COLUMNS),
        _workbook,
        dictionary=(
            *(
                b"\xff\xff",
                b"\xff\xff\xff\xff",
                b"\0\0",
                b"\x04\x02",
                b"\x03\x02",
                b"\x0a\0\0\0",
                b"\x09\x08",
            ),
            *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04", b"\x7f\xff", b"\xfc\0", b"\x3c\0"),
        ),
    ),
    Target(
        "csv_boxes",
        ".csv",
        reads_lesions(read_csv),
        lambda: [
            *_variants(_BOX),
            _csv([{"file name": "image.png", "x": "1", "y": "2", "width": "5", "height": "9", "label": "0"}]),
        ],
        dictionary=(*_WORDS, b"width", b"height", b"image width", b"birads", b"mass"),
    ),
    Target(
        "yolo_labels",
        ".txt",
        reads_lesions(read_yolo),
        lambda: [b"0 0.5 0.5 0.1 0.2\n1 0.2 0.2 0.1 0.1\n", b"0 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n", b""],
        dictionary=(
            b"1e308",
            b"-1e308",
            b"nan",
            b"inf",
            b" ",
            b"\n",
            b"9" * 5000,
            b"1e-320",
            b"\xff",
            b"0x1",
        ),
    ),
    Target(
        "audit_csv",
        ".csv",
        read_audit,
        lambda: [
            _csv(
                [
                    dict(
                        zip(
                            AUDIT_COLUMNS, ("m.json", "mask-soft", "a", "t row 1", "x", "warned"), strict=True
                        )
                    )
                ]
            )
        ],
        dictionary=_WORDS,
    ),
)
