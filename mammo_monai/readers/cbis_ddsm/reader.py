"""Reads CBIS-DDSM: case-description tables, full mammograms, ROI masks found by content.

Four downloads are read: TCIA's classic folders (case/study/series/000000.dcm), those of the NBIA Data
Retriever (case/date-DDSM-NA-n/1.000000-full mammogram images-n/1-1.dcm), files named by UID in folders named
by UID or in one (the Imaging Data Commons; found by their headers), and the JPEG re-release
(jpeg/series/1-263.jpg). Findings of this file: image-missing, image-ambiguous, image-mismatch, views-differ
(quarantined); file-repeated (repaired); row-differs (repaired or warned); laterality-differs, view-differs,
box-repeated, lossy-copy (warned).

Source: Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis
research", Scientific Data 4:170177 (2017). The data set has no normal images and no pixel spacing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, ImageGuard, InvalidRecordError
from mammo_monai.readers.cbis_ddsm.case_tables import (
    CALCIFICATION,
    CASE_FOLDER,
    CASE_TABLES,
    LATERALITY,
    MASS,
    VIEW,
    CaseRow,
    TableImage,
    case_row,
    check_rows,
    images_of,
    published_counts,
    read_case_table,
    read_tables,
    rows_of_other_views,
    view_in_path,
)
from mammo_monai.readers.cbis_ddsm.listings import read_listings
from mammo_monai.readers.cbis_ddsm.masks import Film, mask_of
from mammo_monai.readers.cbis_ddsm.undescribed import Undescribed
from mammo_monai.readers.dicom_candidates import is_lossy
from mammo_monai.readers.file_index import FileIndex
from mammo_monai.readers.image_header import ImageHeader, elements_of, read_image_header
from mammo_monai.readers.picture_checks import check_picture, note_sides, read_reduced
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.readers.repeated import are_same_files, drop_repeated_records, drop_same_pictures
from mammo_monai.readers.roi_masks import RoiMask, marked_pixels
from mammo_monai.readers.tables import TableRow
from mammo_monai.readers.whole_files import refuse_cut_short, refuse_empty
from mammo_monai.records import ImageRecord, Laterality, Lesion, Split, label_of, record_id_of
from mammo_monai.schema import Action

__all__ = ["CASE_TABLES", "CaseRow", "CbisOptions", "read_case_table", "read_cbis_ddsm"]

# Correlation of two copies of one film; of the films of two breasts it is far lower.
_SAME_PICTURE = 0.99
FULL_IMAGE = "full mammogram images"


@dataclass(frozen=True)
class CbisOptions:
    """How to read CBIS-DDSM.

    Attributes:
        csv_dir: where the case-description tables lie; anywhere below the root if None.
        calcifications: read the calcification tables too. A view in tables of both kinds becomes one image
            with the lesions of both; its file is the mass tables'.
        check_pictures: decode every film once and hold it against its side and its lesions.
    """

    csv_dir: Path | None = None
    calcifications: bool = False
    check_pictures: bool = True


def read_cbis_ddsm(root: Path, reading: Reading, options: CbisOptions = CbisOptions()) -> DataSet:
    """The images of the official training and test tables, each with all its lesions.

    Args:
        root: the folder with the download, at any depth below it.

    Raises:
        ManifestError: no table, or tables without their columns or rows. What is wrong with one image is in
            the audit, whose `finish` the caller calls.
    """
    root, audit = Path(root), reading.audit
    index = FileIndex(root, workers=reading.workers, on_progress=reading.on_progress)
    among = _tables_in(options.csv_dir) if options.csv_dir else index.tables
    kinds = (MASS, CALCIFICATION) if options.calcifications else (MASS,)
    tables = read_tables(among, options.csv_dir or root, kinds, audit)
    images = images_of(tables, audit)
    index.know(_names_in(images), CASE_FOLDER)
    read_listings(index, audit)
    undescribed = Undescribed(index, tables)
    reader = _ImageReader(index, undescribed, reading.salt, check_pictures=options.check_pictures)
    records = drop_repeated_records(reading.images(reader.read, images), audit)
    records = drop_same_pictures(records, audit)
    undescribed.quarantine(reading.salt, audit)
    note_sides(records, reader.shown, audit)
    _note_lossy(records, audit)
    official = {record.record_id: reader.official[record.record_id] for record in records}
    return DataSet(tuple(records), official, published_counts(calcifications=options.calcifications))


class _ImageReader:
    """Reads one image of the tables at a time, in any thread; keeps what the whole data set needs later."""

    def __init__(
        self, index: FileIndex, undescribed: Undescribed, salt: str, *, check_pictures: bool
    ) -> None:
        self.index, self.salt, self.check_pictures = index, salt, check_pictures
        self.undescribed = undescribed
        self.official: dict[str, Split] = {}
        self.shown: dict[str, Laterality | None] = {}

    def read(self, item: TableImage, audit: Audit) -> ImageRecord | None:
        first = item.rows[0]
        with audit.image(record_id_of(item.image_path, self.salt), first.where, place=first.place) as guard:
            copies = _full_images(self.index, item.image_path, first.where)
            guard.path = path = copies[0]
            refuse_empty(path)
            header = read_image_header(path)
            guard.record_id = record_id = record_id_of(
                header.sop_instance_uid or path.relative_to(self.index.root).as_posix(), self.salt
            )
            refuse_cut_short(path)
            if len(copies) > 1:
                found = f"{len(copies)} copies of the full image; one is used"
                audit.note("file-repeated", record_id, found, Action.REPAIRED, place=first.place)
            cases = [case_row(row) for row in _each(item.rows, guard)]
            check_rows(item, cases)
            self.undescribed.refuse(item.image_path, first.where)
            _refuse_other_case(header, cases[0], path)
            _note_header(header, cases[0], record_id, audit)
            _note_other_files(item, copies, self.index, record_id, audit)
            film = Film(path, header.width, header.height, record_id, self.check_pictures)
            masks = [
                mask_of(case, film, self.index, audit, row.where)
                for case, row in zip(cases, _each(item.rows, guard), strict=True)
            ]
            _note_equal_boxes(cases, masks, record_id, audit)
            record = _record(film, cases, masks)
            self._look(record, item, audit)
            self.official[record_id] = item.splits[0]
            return record
        _quarantine_other_views(item, self.salt, audit)
        return None

    def _look(self, record: ImageRecord, item: TableImage, audit: Audit) -> None:
        others = [path for each in item.image_paths[1:] for path in self.index.locate(each)]
        if not self.check_pictures and not others:
            return
        pixels = read_reduced(record.image)
        if _is_mask(pixels, record.image):
            found, remedy = "the picture is an ROI mask, no film", "Download that case again."
            raise InvalidRecordError("image-mismatch", str(record.image), found, remedy)
        for other in others:
            if not _show_the_same(pixels, read_reduced(other)):
                found = "the mass and the calcification tables name different pictures for the same view"
                remedy = f"Compare {record.image} and {other}."
                raise InvalidRecordError("views-differ", item.rows[0].where, found, remedy)
        if self.check_pictures:
            self.shown[record.record_id] = check_picture(pixels, record, audit)


def _each(rows: Sequence[TableRow], guard: ImageGuard) -> Iterator[TableRow]:
    """The rows of an image, one at a time: a fault is placed at the row that is at work."""
    for row in rows:
        guard.place = row.place
        yield row
    guard.place = rows[0].place


def _quarantine_other_views(item: TableImage, salt: str, audit: Audit) -> None:
    """Leaves out, with a row each, the other images that rows of one image speak of: none is lost unsaid."""
    for row in rows_of_other_views(item):
        with audit.image(record_id_of(row.place, salt), row.where, place=row.place):
            found = "the row mixes up the paths of two images; both are left out"
            raise InvalidRecordError(
                "row-conflict", row.where, found, "Use the tables as they were published."
            )


def _full_images(index: FileIndex, wanted: str, where: str) -> list[Path]:
    """The file of the full image, and copies of it with the same bytes."""
    located = index.locate(wanted)
    if len(located) > 1:
        located = [path for path in located if _is_full_image(path)] or located
    if len(located) > 1:
        located = [path for path in located if _is_whole(path)] or located
    if len(located) > 1 and not are_same_files(located):
        series = PurePosixPath(wanted.replace("\\", "/")).parts[-2:-1]
        located = [path for path in located if _series_of(path) in series] or located
    if located and are_same_files(located):
        return located
    code, found = "image-missing", "the full image was not found"
    if located:
        code, found = "image-ambiguous", f"{len(located)} files could be the full image"
    raise InvalidRecordError(code, where, found, f"Looked below {index.root} for {wanted!r}.")


def _tables_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; expected the case-description tables.")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())


def _is_whole(path: Path) -> bool:
    try:
        refuse_empty(path)
        refuse_cut_short(path)
    except (InvalidRecordError, OSError):
        return False
    return True


def _series_of(path: Path) -> str:
    header = elements_of(path, "SeriesInstanceUID")
    return str(header.get("SeriesInstanceUID", "")) if header else ""


def _is_full_image(path: Path) -> bool:
    return FULL_IMAGE in path.parent.name.lower()


def _refuse_other_case(header: ImageHeader, case: CaseRow, path: Path) -> None:
    """Refuses a file whose own PatientID names another case than the table, where it names one at all."""
    own = CASE_FOLDER.fullmatch(header.patient_id)
    wanted = PurePosixPath(case.image_path.replace("\\", "/")).parts[0]
    if own and CASE_FOLDER.fullmatch(wanted) and own[0].lower() != wanted.lower():
        found = "the file where the full image should be belongs to another case"
        raise InvalidRecordError("image-mismatch", str(path), found, "Download that case again.")


def _record(film: Film, cases: Sequence[CaseRow], masks: Sequence[RoiMask]) -> ImageRecord:
    first = cases[0]
    assessments = {case.birads for case in cases}
    return ImageRecord(
        image=film.path.absolute(),
        record_id=film.record_id,
        patient_id=first.patient_id,
        width=film.width,
        height=film.height,
        lesions=tuple(_lesion(case, mask) for case, mask in zip(cases, masks, strict=True)),
        laterality=first.laterality,
        view_position=first.view_position,
        breast_density=first.breast_density,
        birads=assessments.pop() if len(assessments) == 1 else None,
        source=f"CBIS-DDSM {first.place}",
        file_size=film.path.stat().st_size,
    )


def _lesion(case: CaseRow, mask: RoiMask) -> Lesion:
    return Lesion(
        box=mask.box,
        id=case.abnormality_id,
        type=case.abnormality_type,
        label=label_of(case.abnormality_type),
        pathology=case.pathology,
        birads=case.birads,
        subtlety=case.subtlety,
    )


def _show_the_same(pixels: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    if pixels.shape != other.shape or pixels.min() == pixels.max() or other.min() == other.max():
        return False
    values = np.corrcoef(pixels.ravel().astype(np.float64), other.ravel().astype(np.float64))
    return bool(values[0, 1] > _SAME_PICTURE)


def _is_mask(pixels: NDArray[np.generic], path: Path) -> bool:
    if not is_lossy(path):
        return np.unique(pixels).size == 2
    return pixels.min() != pixels.max() and marked_pixels(pixels.astype(np.int64), lossy=True) is not None


def _names_in(images: Sequence[TableImage]) -> set[str]:
    """Case and series folders that the tables speak of."""
    names: set[str] = set()
    for row in (row for image in images for row in image.rows):
        for column in ("image file path", "cropped image file path", "roi mask file path"):
            parts = PurePosixPath(row.values[column].replace("\\", "/")).parts
            names.update(parts[:1] + parts[-2:-1])
    return names


def _note_header(header: ImageHeader, case: CaseRow, record_id: str, audit: Audit) -> None:
    _, side, view = view_in_path(case.image_path) or ("", "", "")
    pairs = (
        ("laterality-differs", header.laterality or LATERALITY.get(side), case.laterality),
        ("view-differs", header.view_position or VIEW.get(view), case.view_position),
    )
    for code, in_file, in_table in pairs:
        if in_file is not None and in_file is not in_table:
            found = f"the table says {in_table.value}, the file {in_file.value}: the table's is kept"
            audit.note(code, record_id, found, place=case.place)


def _note_other_files(
    item: TableImage, used: Sequence[Path], index: FileIndex, record_id: str, audit: Audit
) -> None:
    """Notes rows of one kind that name another file for the view; both kinds may have a file of their own."""
    kind = item.rows[0].values["abnormality type"]
    rows = [row for row in item.rows if row.values["abnormality type"] == kind]
    for path in TableImage(tuple(rows), item.splits).image_paths[1:]:
        files = index.locate(path)
        is_same = bool(files) and are_same_files([used[0], *files])
        row = next(row for row in rows if row.values["image file path"] == path)
        found = "the row names another file than other rows of its view; theirs is used" + (
            ": both hold the same bytes" if is_same else ""
        )
        action = Action.REPAIRED if is_same else Action.WARNED
        audit.note("row-differs", record_id, found, action, place=row.place)


def _note_equal_boxes(
    cases: Sequence[CaseRow], masks: Sequence[RoiMask], record_id: str, audit: Audit
) -> None:
    repeated = len(masks) - len({mask.box for mask in masks})
    if repeated:
        found = f"{repeated} of {len(masks)} lesions have the box of another one"
        audit.note("box-repeated", record_id, found, place=cases[0].place)


def _note_lossy(records: Sequence[ImageRecord], audit: Audit) -> None:
    lossy = sum(is_lossy(record.image) for record in records)
    if lossy:
        found = (
            f"{lossy} images are JPEG copies of 8 bits: grey values and mask outlines are not the originals'"
        )
        audit.note("lossy-copy", "", found)
