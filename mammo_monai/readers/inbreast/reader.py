"""Reads INbreast: the table (csv, xls or both), AllDICOMs, and the OsiriX contours in AllXML.

Patients are told by the hash in the file names, so the follow-ups of one patient stay together: 108 patients
for the 115 cases of the paper, which no file tells apart. No biopsy stands in the table: BI-RADS is all
there is to say.

In the table exactly the images of BI-RADS 1 are said to be without annotation. So an image of another
category without an XML file has lost it, and would be false truth as a normal one.

Images with a mass are decoded, and the mass must touch the breast. Of 58 true masses (52 images, as released
at 800 × 800 px) each lies in it with 0.99 of its box or more; of masses of an image of the other side 93 in
100 do not touch it. That the workbook marks no mass proves nothing: one of those 52 images has no mark.

Source: Moreira et al., "INbreast: toward a full-field digital mammographic database", Academic
Radiology 19(2):236–248 (2012).

| code | action | meaning |
|---|---|---|
| image-missing | quarantined | a row without a DICOM file |
| image-repeated | quarantined | a file number or SOPInstanceUID stands twice |
| file-truncated | quarantined | a DICOM file without all of its pixels |
| row-missing | quarantined | a DICOM file without a row |
| row-repeated | repaired | the same row twice |
| row-differs | quarantined | two rows of one file number that differ |
| table-value | quarantined | a cell that cannot be read |
| identity-differs | quarantined | table and file name name another side or view |
| header-differs | warned | the DICOM header names another side or view; table and file name hold |
| finding-contradicted | warned | regions of an image of BI-RADS 1 |
| region-incomplete | warned | other regions or points than the XML file counts, or of several images |
| lesion-outside-breast | warned | a mass beside the breast: the XML file of another image, or x for y |
| box-repeated | warned | two masses of an image have the same box |
| tables-differ | warned | csv and xls differ in a row, or in which images they list; the csv holds |
| table-unusable | warned | one of csv and xls cannot be read |
| contour-missing | quarantined | no contour of an image of BI-RADS 3 or above, or marked as a mass |
| contour-missing | warned | no contour of an image of BI-RADS 2, or without a category |
| contour-repeated | quarantined | several XML files of one image |
| contour-unused | warned | XML files of no image, or whose name is no file number |
| mass-not-drawn | warned | the workbook marks a mass, the XML file holds other regions alone |
| mass-is-dot | warned | a mass without an area; kept as other |
| region-empty | warned | a region without points; left out |
| region-outside | warned | a region that is no mass leaves the image by more than 1 px; left out |
| region-unknown | warned | a region with a name of its own; kept as other |
| box-clipped | repaired | a contour left the image by up to 1 px |
| box-outside | quarantined | a mass lies outside the image |
| dicom-unusable, for-processing, file-unreadable | quarantined | the DICOM file |
| xml-unusable | quarantined | no property list, entities, a point that is none, too large |
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_monai.dicom.attributes import MammogramAttributes
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.categories import (
    LATERALITIES,
    LesionTypeOptions,
    birads_category,
    density_category,
    is_wanted,
)
from mammo_monai.readers.image_header import read_dicom_header
from mammo_monai.readers.inbreast.files import VIEWS, DicomName, find_inbreast
from mammo_monai.readers.inbreast.osirix import RegionOfInterest, read_regions
from mammo_monai.readers.inbreast.regions import RegionReader
from mammo_monai.readers.inbreast.table import TableEntry, read_entries
from mammo_monai.readers.picture_checks import check_lesions
from mammo_monai.readers.reading import DataSet, PublishedCounts, Reading
from mammo_monai.readers.repeated import drop_repeated_records
from mammo_monai.readers.tables import TableRow
from mammo_monai.readers.whole_files import refuse_cut_short_dicom
from mammo_monai.records import MASS_LABEL, ImageRecord, Laterality, ViewPosition, record_id_of
from mammo_monai.schema import Action

logger = logging.getLogger(__name__)

PUBLISHED = PublishedCounts(
    source="Moreira et al., 2012; 108 patients by file name; 112 masses: Agarwal et al., 2019",
    counts={
        "images": 410,
        "patients": 108,
        "masses": 116,
        "images with masses": 107,
        "masses, overlapping ones merged": 112,
    },
)
# BI-RADS 3, probably benign, is the first category in which a mass is to be expected.
_NORMAL, _MASS_EXPECTED = 1, 3
_HEADER_TAGS = ("ImageLaterality", "Laterality", "FrameLaterality")
_VIEW_TAGS = ("ViewPosition", "ViewCodeSequence")
_UNTOLD = (None, ViewPosition.OTHER, ViewPosition.ML)  # ML: as in the file names, for MLO
# Density as people write it besides 1 to 4: D2, ACR 2.
_DENSITY_WORD = re.compile(r"(?:ACR|D)[ :]?(?=[1-4a-d](?:\.0)?$)", re.IGNORECASE)


@dataclass(frozen=True)
class InbreastOptions(LesionTypeOptions):
    """Which lesion types to keep."""


@dataclass(frozen=True)
class _Image:
    """One image to be read: its row, its file, or both."""

    entry: TableEntry | None
    names: tuple[DicomName, ...]
    contours: tuple[Path, ...]

    @property
    def row(self) -> TableRow | None:
        return self.entry.rows[0] if self.entry else None

    @property
    def where(self) -> str:
        return self.row.where if self.row else str(self.names[0].path)


def read_inbreast(root: Path, reading: Reading, options: InbreastOptions = InbreastOptions()) -> DataSet:
    """All images of INbreast with their regions of every type; there is no official split.

    Args:
        root: the folder that holds the table, AllDICOMs and AllXML, or a folder above.

    Raises:
        ManifestError: table or folders missing, or a table without its columns.
    """
    files = find_inbreast(Path(root))
    entries = read_entries(files, reading)
    numbers = {entry.number for entry in entries}
    images = [
        _Image(entry, files.images.get(entry.number, ()), files.contours.get(entry.number, ()))
        for entry in entries
    ]
    images += [_Image(None, names, ()) for number, names in files.images.items() if number not in numbers]
    for path in files.strangers:
        logger.warning("%s: expected NUMBER.xml; the file is passed over", path)
    unused = len(files.contours.keys() - numbers - files.images.keys()) + len(files.strangers)
    if unused:
        reading.audit.note("contour-unused", "", f"{unused} XML files belong to no image of the table")

    def read_one(image: _Image, audit: Audit) -> ImageRecord | None:
        return _read_image(image, reading.salt, options, audit)

    records = drop_repeated_records(reading.images(read_one, images), reading.audit)
    return DataSet(tuple(records), published=PUBLISHED)


def _read_image(image: _Image, salt: str, options: InbreastOptions, audit: Audit) -> ImageRecord | None:
    row = image.row
    number = image.entry.number if image.entry else image.names[0].number
    place = row.place if row else ""
    path = image.names[0].path if len(image.names) == 1 else None
    with audit.image(record_id_of(number, salt), image.where, place=place, path=path) as guard:
        name = _only_name(image, number)
        attributes = read_dicom_header(name.path)
        guard.record_id = record_id_of(attributes.sop_instance_uid or f"AllDICOMs/{name.path.name}", salt)
        refuse_cut_short_dicom(name.path)
        if image.entry is None or row is None:
            raise InvalidRecordError("row-missing", image.where, "the table has no row for this image")
        _check_rows(image.entry, guard.record_id, audit)
        record = _record(name, row, attributes, guard.record_id, audit)
        regions = _regions(image.contours, image.entry, record, audit)
        lesions = RegionReader(record, row, audit).lesions(regions)
        if image.entry.marks_mass and not any(lesion.label == MASS_LABEL for lesion in lesions):
            found = "the table marks a mass, none of the regions is one"
            audit.note("mass-not-drawn", record.record_id, found, place=row.place)
        masses = tuple(lesion for lesion in lesions if lesion.label == MASS_LABEL)
        check_lesions(replace(record, lesions=masses), audit, method="global")
        return replace(record, lesions=tuple(each for each in lesions if is_wanted(each.type, options.types)))
    return None


def _only_name(image: _Image, number: str) -> DicomName:
    if image.row is not None and not number.isdigit():
        raise image.row.fault("file name", "a number")
    if not image.names:
        remedy = f"Expected a file {number}_*.dcm in AllDICOMs: is the download complete?"
        raise InvalidRecordError("image-missing", image.where, "the image was not found", remedy)
    if len(image.names) > 1:
        found = f"{len(image.names)} DICOM files have the same number"
        remedy = f"Keep one of {image.names[0].path} and {image.names[1].path}."
        raise InvalidRecordError("image-repeated", image.where, found, remedy)
    return image.names[0]


def _check_rows(entry: TableEntry, record_id: str, audit: Audit) -> None:
    first = entry.rows[0]
    for row in entry.rows[1:]:
        if row.values != first.values:
            found = f"row {row.number} of the table names the same file and says something else"
            raise InvalidRecordError("row-differs", first.where, found, "Use the table as it was published.")
        audit.note("row-repeated", record_id, "the same row stands twice", Action.REPAIRED, place=row.place)
    if entry.differing:
        found = f"the other table says something else in: {', '.join(entry.differing)}"
        audit.note("tables-differ", record_id, found, place=first.place)


def _record(
    name: DicomName, row: TableRow, attributes: MammogramAttributes, record_id: str, audit: Audit
) -> ImageRecord:
    laterality, view_position = _identity(name, row)
    if attributes.laterality_source in _HEADER_TAGS and attributes.laterality is not laterality:
        found = "the DICOM header names the other side than table and file name"
        audit.note("header-differs", record_id, found, place=row.place)
    shown = attributes.view_position
    if attributes.view_position_source in _VIEW_TAGS and shown not in (*_UNTOLD, view_position):
        found = "the DICOM header names another view than table and file name"
        audit.note("header-differs", record_id, found, place=row.place)
    return ImageRecord(
        image=name.path.absolute(),
        record_id=record_id,
        patient_id=name.patient,
        width=attributes.columns,
        height=attributes.rows,
        laterality=laterality,
        view_position=view_position,
        pixel_spacing_mm=attributes.pixel_spacing_mm,
        breast_density=_density(row),
        birads=_birads(row),
        source=f"INbreast {row.place}",
    )


def _identity(name: DicomName, row: TableRow) -> tuple[Laterality, ViewPosition]:
    """Laterality and view, on which name and table must agree."""
    laterality, view = row.choice("laterality", LATERALITIES), row.choice("view", VIEWS)
    if LATERALITIES.get(name.laterality) is not laterality or VIEWS.get(name.view) is not view:
        found = (
            f"the table says {laterality.value} {view.value}, the file name {name.laterality} {name.view:.10}"
        )
        raise InvalidRecordError("identity-differs", row.where, found, f"See {name.path}.")
    return laterality, view


def _regions(
    contours: Sequence[Path], entry: TableEntry, record: ImageRecord, audit: Audit
) -> list[RegionOfInterest]:
    """The regions of an image; none at all is right for BI-RADS 1 alone."""
    row = entry.rows[0]
    if len(contours) > 1:
        remedy = f"Keep one of {contours[0]} and {contours[1]}."
        raise InvalidRecordError("contour-repeated", row.where, "several XML files have its number", remedy)
    regions = read_regions(contours[0]) if contours else []
    if regions and record.birads == _NORMAL:
        found = "regions are drawn, but BI-RADS 1 means that there is nothing to see"
        audit.note("finding-contradicted", record.record_id, found, place=row.place)
    # Regions without any point are none: the image would count as normal.
    if any(region.points for region in regions) or (record.birads == _NORMAL and not entry.marks_mass):
        return regions
    category = "no category" if record.birads is None else f"BI-RADS {record.birads}"
    found = f"no contour, but {'a mass is marked and ' if entry.marks_mass else ''}{category}"
    if entry.marks_mass or (record.birads or 0) >= _MASS_EXPECTED:
        remedy = "Is AllXML complete? Without its contours the image would count as normal."
        raise InvalidRecordError("contour-missing", row.where, found, remedy)
    audit.note("contour-missing", record.record_id, found, place=row.place)
    return regions


def _density(row: TableRow) -> int | None:
    try:
        return density_category(_DENSITY_WORD.sub("", row.values["acr"]))
    except ValueError:
        raise row.fault("acr", "a whole number from 1 to 4, or a to d") from None


def _birads(row: TableRow) -> int | None:
    try:
        return birads_category(row.values["bi-rads"])
    except ValueError:
        raise row.fault("bi-rads", "a category from 0 to 6, 4a, 4b or 4c") from None
