"""Reads INbreast's masses: INbreast.csv, AllDICOMs, and the OsiriX contours in AllXML.

Source: Moreira et al., "INbreast: toward a full-field digital mammographic database", Academic
Radiology 19(2):236–248 (2012). No biopsy stands in the table: BI-RADS is all there is to say.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import clip_boxes, contour_area_px, contour_box
from mammo_monai.readers.audit import Action, Audit, InvalidRecordError, drop_repeated_records
from mammo_monai.readers.categories import LATERALITIES, birads_category
from mammo_monai.readers.image_header import read_dicom_header
from mammo_monai.readers.osirix import RegionOfInterest, read_regions
from mammo_monai.readers.tables import TableRow, read_table
from mammo_monai.records import Box, ImageRecord, Laterality, Lesion, ViewPosition, record_id_of

logger = logging.getLogger(__name__)

TABLE = "INbreast.csv"
COLUMNS = ("laterality", "view", "file name", "acr", "bi-rads")
MIN_CONTOUR_POINTS = 3
# Contours drawn to the border end a fraction of a pixel outside; more is a fault.
BORDER_TOLERANCE_PX = 1.0
_FILE_NAME = re.compile(
    r"(?P<file>\d+)_(?P<patient>[^_]+)_MG_(?P<laterality>[LR])_(?P<view>[A-Z]+)_ANON\.dcm", re.IGNORECASE
)
# File names say ML where the table says MLO; the data set has no true mediolateral view. FB: from below.
_VIEW = {
    "CC": ViewPosition.CC,
    "MLO": ViewPosition.MLO,
    "ML": ViewPosition.MLO,
    "FB": ViewPosition.OTHER,
}


@dataclass(frozen=True)
class _Files:
    """DICOM files by file number, the folder of the contours, and what was passed over in them."""

    dicom: Mapping[str, Path]
    xml_folder: Path
    passed_over: Counter[str] = field(default_factory=Counter)


def read_inbreast(root: Path, *, salt: str, audit: Audit | None = None) -> list[ImageRecord]:
    """All images of INbreast with their masses; patients are told by the hash in the file names.

    Regions that are not masses (calcifications, asymmetries, distortions) are passed over and counted in
    the log. An image without an XML file is normal. A mass of one or two points is a dot without a size:
    it is left out with a warning.

    Args:
        root: the folder that holds INbreast.csv, AllDICOMs and AllXML, or a folder up to two levels above.
        salt: of the record ids.
        audit: collects findings and decides what a fault does; None raises on any.

    Raises:
        ManifestError: table or folders missing, a table without its columns, or images that cannot be read.
    """
    audit = audit or Audit()
    folder = _dataset_folder(Path(root))
    files = _Files(_dicom_files(folder / "AllDICOMs"), folder / "AllXML")
    rows = read_table(folder / TABLE, COLUMNS)
    found = [_read_image(row, files, salt, audit) for row in rows]
    logger.info("regions other than masses, passed over: %s", dict(files.passed_over) or "none")
    without_row = len(files.dicom.keys() - {_number(row) for row in rows})
    if without_row:
        audit.note("row-missing", "", f"{without_row} DICOM files have no row in {TABLE}; they are left out")
    records = drop_repeated_records([record for record in found if record is not None], audit)
    audit.finish()
    return records


def is_mass(region_name: str) -> bool:
    """Whether a region's name says mass.

    >>> is_mass("Mass"), is_mass("Calcification")
    (True, False)
    """
    return region_name.strip().casefold() in {"mass", "masses"}


def _dataset_folder(root: Path) -> Path:
    tables = next((found for depth in ("", "*/", "*/*/") if (found := sorted(root.glob(depth + TABLE)))), [])
    if len(tables) > 1:
        raise ManifestError(
            f"{root}: expected one {TABLE}, found {len(tables)}, among them {tables[0]} and {tables[1]}. "
            "Name the folder of one of them."
        )
    if tables:
        folder = tables[0].parent
        missing = [name for name in ("AllDICOMs", "AllXML") if not (folder / name).is_dir()]
        if not missing:
            return folder
        raise ManifestError(
            f"{folder}: expected the folders AllDICOMs and AllXML beside {TABLE}, "
            f"missing: {', '.join(missing)}. Without contours all images would seem normal."
        )
    for workbook in sorted(root.glob("**/INbreast.xls")):
        raise ManifestError(
            f"{workbook}: expected {TABLE} beside it; this reader does not open .xls. "
            "Save the sheet as CSV with semicolons under that name."
        )
    raise ManifestError(f"{root}: expected {TABLE} in this folder or up to two levels below; none found.")


def _dicom_files(folder: Path) -> dict[str, Path]:
    files = {
        match["file"]: path for path in sorted(folder.iterdir()) if (match := _FILE_NAME.fullmatch(path.name))
    }
    if not files:
        raise ManifestError(
            f"{folder}: expected files named NUMBER_PATIENT_MG_L|R_CC|ML_ANON.dcm, found none. "
            "Keep the names as published: they alone tell the patients."
        )
    return files


def _number(row: TableRow) -> str:
    return row.values["file name"].removesuffix(".0")


def _read_image(row: TableRow, files: _Files, salt: str, audit: Audit) -> ImageRecord | None:
    number = _number(row)
    with audit.image(record_id_of(number, salt), row.where) as guard:
        path = files.dicom.get(number)
        if path is None:
            remedy = f"Expected a file {number}_*.dcm in AllDICOMs."
            raise InvalidRecordError("image-missing", row.where, "the image was not found", remedy)
        attributes = read_dicom_header(path)
        guard.record_id = record_id_of(attributes.sop_instance_uid or f"{path.parent.name}/{path.name}", salt)
        laterality, view_position, patient = _identity(path, row)
        spacing = attributes.pixel_spacing_mm
        size = (attributes.columns, attributes.rows)
        masses = _masses(files, number, guard.record_id, audit)
        birads = _birads(row)
        return ImageRecord(
            image=path.absolute(),
            record_id=guard.record_id,
            patient_id=patient,
            width=size[0],
            height=size[1],
            lesions=tuple(
                _lesion(n, mass, birads, _box(mass, size, guard.record_id, row, audit), spacing)
                for n, mass in enumerate(masses, start=1)
            ),
            laterality=laterality,
            view_position=view_position,
            pixel_spacing_mm=spacing,
            breast_density=row.whole_number("acr", 1, 4),
            source=f"INbreast {row.table.name}, row {row.number}",
        )
    return None


def _identity(path: Path, row: TableRow) -> tuple[Laterality, ViewPosition, str]:
    """Laterality and view, on which name and table must agree, and the patient's hash."""
    match = _FILE_NAME.fullmatch(path.name)
    laterality, view = row.choice("laterality", LATERALITIES), row.choice("view", _VIEW)
    in_name = (match["laterality"].upper(), match["view"].upper()) if match else ("", "")
    if LATERALITIES.get(in_name[0]) is not laterality or _VIEW.get(in_name[1]) is not view:
        found = f"the table says {laterality.value} {view.value}, the file name {in_name[0]} {in_name[1]}"
        raise InvalidRecordError("identity-differs", row.where, found, f"See {path}.")
    return laterality, view, match["patient"] if match else ""


def _masses(files: _Files, number: str, record_id: str, audit: Audit) -> list[RegionOfInterest]:
    path = files.xml_folder / f"{number}.xml"
    regions = read_regions(path) if path.is_file() else []
    masses = [region for region in regions if is_mass(region.name)]
    files.passed_over.update(region.name for region in regions if not is_mass(region.name))
    drawn = [mass for mass in masses if not _is_dot(mass)]
    if len(drawn) < len(masses):
        found = (
            f"{len(masses) - len(drawn)} of {len(masses)} masses are dots without a size; they are left out"
        )
        audit.note("mass-is-dot", record_id, found, Action.SKIPPED)
    return drawn


def _is_dot(region: RegionOfInterest) -> bool:
    if len(region.points) < MIN_CONTOUR_POINTS:
        return True
    x_min, y_min, x_max, y_max = contour_box(region.points)
    return x_min == x_max or y_min == y_max


def _box(mass: RegionOfInterest, size: tuple[int, int], record_id: str, row: TableRow, audit: Audit) -> Box:
    box = np.array([contour_box(mass.points)])
    inside = clip_boxes(box, *size)
    overhang = float(np.abs(box - inside).max())
    if overhang > BORDER_TOLERANCE_PX:
        found = f"a mass contour with box {box[0].tolist()} leaves the image of {size[0]} × {size[1]} px"
        raise InvalidRecordError("box-outside", row.where, found, "Is the XML file that of another image?")
    if overhang:
        audit.note("box-clipped", record_id, f"a box left the image by {overhang:.2f} px", Action.REPAIRED)
    x_min, y_min, x_max, y_max = inside[0].tolist()
    return x_min, y_min, x_max, y_max


def _lesion(
    number: int, mass: RegionOfInterest, birads: int | None, box: Box, spacing: tuple[float, float] | None
) -> Lesion:
    area_mm2 = contour_area_px(mass.points) * spacing[0] * spacing[1] if spacing else None
    return Lesion(box=box, id=str(number), area_mm2=area_mm2, contour=mass.points, birads=birads)


def _birads(row: TableRow) -> int | None:
    try:
        return birads_category(row.values["bi-rads"])
    except ValueError:
        raise row.fault("bi-rads", "a category from 0 to 6, 4a, 4b or 4c") from None
