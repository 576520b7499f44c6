"""Where INbreast keeps its files: DICOM by file number and patient hash, contours by file number."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.folders import folders_below, is_left_behind
from mammo_monai.readers.table_folder import find_table_folder, subfolder
from mammo_monai.records import ViewPosition

CSV, WORKBOOK = "INbreast.csv", "INbreast.xls"
# File names say ML where the table says MLO; the data set has no true mediolateral view. FB: from below.
VIEWS = {
    "CC": ViewPosition.CC,
    "MLO": ViewPosition.MLO,
    "ML": ViewPosition.MLO,
    "FB": ViewPosition.OTHER,
}
_DICOM_NAME = re.compile(
    r"(?P<file>\d+)_(?P<patient>[^_]+)_MG_(?P<laterality>[LR])_(?P<view>[A-Z]+)_ANON(?:\.dcm|\.dicom)?",
    re.IGNORECASE | re.ASCII,
)
_XML_NAME = re.compile(r"(?P<file>\d+)\.xml", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class DicomName:
    """What a DICOM file's name says.

    Attributes:
        patient: a hash; follow-ups of one patient share it. laterality, view: as spelt, in capitals.
    """

    path: Path
    number: str
    patient: str
    laterality: str
    view: str


@dataclass(frozen=True)
class InbreastFiles:
    """The files of one copy of the data set.

    Attributes:
        csv, workbook: the same table twice; at least one is there.
        images: by file number, more than one where a number stands twice.
        contours: XML files, likewise. strangers: XML files whose name is no file number.
    """

    csv: Path | None
    workbook: Path | None
    images: Mapping[str, tuple[DicomName, ...]]
    contours: Mapping[str, tuple[Path, ...]]
    strangers: tuple[Path, ...] = ()


def find_inbreast(root: Path) -> InbreastFiles:
    """The files of the data set at or below `root`; names in any case.

    Raises:
        ManifestError: no table, or two copies of the data set; no AllDICOMs or AllXML beside the table;
            no image or no contour file in them.
    """
    folder, tables = find_table_folder(root, (CSV, WORKBOOK))
    images, contours = subfolder(folder, "AllDICOMs"), subfolder(folder, "AllXML")
    if images is None or contours is None:
        missing = [name for name, path in (("AllDICOMs", images), ("AllXML", contours)) if path is None]
        raise ManifestError(
            f"{folder}: expected the folders AllDICOMs and AllXML beside {CSV}, "
            f"missing: {', '.join(missing)}. Without contours all images would seem normal."
        )
    found, strangers = _contours(contours)
    return InbreastFiles(tables.get(CSV), tables.get(WORKBOOK), _images(images), found, strangers)


def _images(folder: Path) -> dict[str, tuple[DicomName, ...]]:
    found: dict[str, tuple[DicomName, ...]] = defaultdict(tuple)
    for path in _entries(folder):
        if match := _DICOM_NAME.fullmatch(path.name):
            name = DicomName(
                path,
                match["file"],
                match["patient"].lower(),
                match["laterality"].upper(),
                match["view"].upper(),
            )
            found[name.number] += (name,)
    if not found:
        raise ManifestError(
            f"{folder}: expected files named NUMBER_PATIENT_MG_L|R_CC|ML_ANON.dcm, found none. "
            "Keep the names as published: they alone tell the patients."
        )
    return dict(found)


def _contours(folder: Path) -> tuple[dict[str, tuple[Path, ...]], tuple[Path, ...]]:
    """XML files by file number, and those of another name."""
    found: dict[str, tuple[Path, ...]] = defaultdict(tuple)
    strangers: list[Path] = []
    for path in _entries(folder):
        if match := _XML_NAME.fullmatch(path.name):
            found[match["file"]] += (path,)
        elif path.suffix.lower() == ".xml":
            strangers.append(path)
    return dict(found), tuple(strangers)


def _entries(folder: Path) -> list[Path]:
    """Everything below a folder, also behind links; a folder with the name of a file is reported as one."""
    return sorted(
        path
        for below, _ in folders_below(folder)
        for path in below.iterdir()
        if not is_left_behind(path.name)
    )
