"""Listings that come with two of the downloads: they name files by series and case where folders do not.

`metadata.csv` is the NBIA Data Retriever's, `dicom_info.csv` that of the JPEG re-release.

Findings: listing-unusable, table-empty (warned).

Source: columns as in the downloads; NBIA Data Retriever writes File Location with backslashes on Windows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.file_index import FileIndex
from mammo_monai.readers.tables import TableRow, read_table

logger = logging.getLogger(__name__)

NBIA_LISTING = "metadata.csv"
JPEG_LISTING = "dicom_info.csv"
_NBIA_COLUMNS = ("series uid", "subject id", "file location")
_JPEG_COLUMNS = ("image path", "patientid", "seriesinstanceuid")


def read_listings(index: FileIndex, audit: Audit) -> None:
    """Adds what every listing in the download says to the index; one that cannot be read is a finding."""
    readers: dict[str, tuple[tuple[str, ...], Callable[[FileIndex, TableRow], None]]] = {
        NBIA_LISTING: (_NBIA_COLUMNS, _add_nbia_row),
        JPEG_LISTING: (_JPEG_COLUMNS, _add_jpeg_row),
    }
    for path in index.tables:
        if path.name.lower() not in readers:
            continue
        columns, add = readers[path.name.lower()]
        try:
            rows = read_table(path, columns)
        except ManifestError as error:
            logger.warning("the listing is passed over, files are found by name: %s", error)
            found = "the listing of the download cannot be read; files are found by folders and headers alone"
            audit.note("listing-unusable", "", found, place=path.name)
            continue
        if not rows:
            audit.note(
                "table-empty", "", "the listing of the download has a header and no row", place=path.name
            )
        for row in rows:
            add(index, row)


def _add_nbia_row(index: FileIndex, row: TableRow) -> None:
    parts = _parts(row.values["file location"])
    if not parts:
        return
    # Study and series folder: the part above may have been renamed or moved since.
    files = index.below(*parts[-2:]) or index.below(parts[-1])
    for name in (row.values["series uid"], row.values["subject id"]):
        if name:
            index.list_under(name, files)


def _add_jpeg_row(index: FileIndex, row: TableRow) -> None:
    parts = _parts(row.values["image path"])
    if len(parts) < 2:
        return
    stem = PurePosixPath(parts[-1]).stem.lower()
    files: list[Path] = [path for path in index.below(parts[-2]) if path.stem.lower() == stem]
    for name in (row.values["seriesinstanceuid"], row.values["patientid"]):
        if name:
            index.list_under(name, files)


def _parts(location: str) -> tuple[str, ...]:
    """Folder and file names of a path written on any system.

    >>> _parts(r".\\CBIS-DDSM\\case\\series")
    ('CBIS-DDSM', 'case', 'series')
    """
    return tuple(part for part in PurePosixPath(location.replace("\\", "/")).parts if part not in (".", "/"))
