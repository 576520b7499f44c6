"""Reads VinDr-Mammo: finding_annotations.csv, and the images it lists, with the official split.

A patient is a study: the data set has one exam per patient. Lesions are boxes; there are no contours.

Source: Nguyen et al., "VinDr-Mammo: A large-scale benchmark dataset for computer-aided diagnosis in
full-field digital mammography", Scientific Data 10:277 (2023).

| code | action | meaning |
|---|---|---|
| image-missing | quarantined | a row whose image is not on disk |
| image-repeated | quarantined | two files, or two rows' files with one SOPInstanceUID, of one image |
| row-missing | quarantined | a DICOM file that no table lists, or an image without a row of findings |
| row-missing | warned | pictures that no table lists, though they are named like images |
| row-repeated | repaired | the same finding twice |
| row-differs | quarantined | rows of one image differ in what they say of the image |
| table-value | quarantined | a cell that cannot be read |
| tables-differ | warned | the breast-level table says something else; the findings' table holds |
| table-unusable | warned | the breast-level table cannot be read; it is not needed |
| box-missing | quarantined | a finding without its box |
| box-unexpected | quarantined | a box of no finding |
| box-invalid | quarantined | a box that is reversed or has no area |
| box-outside | quarantined | a box leaves the image by more than 1 px |
| box-repeated | warned | two masses of an image have the same box |
| box-clipped | repaired | a box left the image by up to 1 px |
| finding-contradicted | warned | "No Finding" and a finding for the same image; the finding holds |
| category-unknown | warned | a finding category that the paper does not know; kept as other |
| size-differs | quarantined | the file is not of the size the table names: swapped, scaled, or another |
| header-differs | warned | the DICOM header names another side or view; the table holds |
| lossy-copy | warned | images are PNG or JPEG copies |
| file-truncated | quarantined | a file without all of its pixels |
| dicom-unusable, for-processing, image-unreadable, file-unreadable | quarantined | the file |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.categories import (
    LATERALITIES,
    VIEWS,
    LesionTypeOptions,
    birads_category,
    density_category,
    is_wanted,
)
from mammo_monai.readers.reading import DataSet, PublishedCounts, Reading
from mammo_monai.readers.repeated import drop_repeated_records
from mammo_monai.readers.table_folder import find_table_folder
from mammo_monai.readers.tables import UNKNOWN_MARKS, TableRow
from mammo_monai.readers.vindr.files import (
    ImageFiles,
    ImageLook,
    find_image_files,
    is_picture,
    look_at,
)
from mammo_monai.readers.vindr.findings import read_findings
from mammo_monai.readers.vindr.table import (
    BREASTS,
    FINDINGS,
    ImageRows,
    check_agreement,
    differing_columns,
    read_image_rows,
)
from mammo_monai.records import ImageRecord, Split, record_id_of

PUBLISHED = PublishedCounts(
    source="Nguyen et al., 2023",
    counts={
        "exams": 5000,
        "images": 20000,
        "training exams": 4000,
        "test exams": 1000,
        "training images": 16000,
        "test images": 4000,
    },
)
# Two scales of one image differ by the rounding of its sides, less than this on sides of 1000 px or more.
_SCALE_TOLERANCE = 0.005
_MAX_SIDE_PX = 100_000
_SPLITS = {"TRAINING": Split.TRAINING, "TRAIN": Split.TRAINING, "TEST": Split.TEST}
# Side and view out of names and descriptions are the header reader's own fallbacks, no second opinion.
_LATERALITY_TAGS = ("ImageLaterality", "Laterality", "FrameLaterality")
_VIEW_TAGS = ("ViewPosition", "ViewCodeSequence", "PatientOrientation")


@dataclass(frozen=True)
class VindrOptions(LesionTypeOptions):
    """Which lesion types to keep."""


def read_vindr(root: Path, reading: Reading, options: VindrOptions = VindrOptions()) -> DataSet:
    """All images that finding_annotations.csv lists, with their findings and the official split.

    Args:
        root: the folder with the tables and the images, or a folder above it. Images may lie anywhere below
            as IMAGE.dicom or IMAGE.dcm, or as PNG or JPEG copies of the original size.

    Raises:
        ManifestError: no table, a table without its columns, a study in two lists, or none of the images.
    """
    root = Path(root)
    listed = read_image_rows(find_table_folder(root, (FINDINGS, BREASTS))[1], reading.audit)
    files = find_image_files(root)
    _check_images_are_there(root, listed, files)
    known = {image.image_id for image in listed}
    strangers = [path for stem, paths in files.by_stem.items() if stem not in known for path in paths]

    def read_one(item: ImageRows | Path, audit: Audit) -> ImageRecord | None:
        if isinstance(item, Path):
            _refuse(item, reading.salt, audit)
            return None
        return _read_image(item, files, reading.salt, options, audit)

    _note_pictures(known, strangers, files, reading.audit)
    items: list[ImageRows | Path] = [*listed, *(path for path in strangers if not is_picture(path))]
    records = drop_repeated_records(reading.images(read_one, items), reading.audit)
    copies = sum(is_picture(record.image) for record in records)
    if copies:
        found = (
            f"{copies} images are PNG or JPEG copies: other grey values, no spacing; prefer the DICOM files"
        )
        reading.audit.note("lossy-copy", "", found)
    # Images are found by name, so the name is the image id.
    splits = {image.image_id: image.row.values["split"].upper() for image in listed}
    official = {record.record_id: _SPLITS[splits[record.image.stem]] for record in records}
    return DataSet(tuple(records), official, PUBLISHED)


def _note_pictures(
    known: Collection[str], strangers: Sequence[Path], files: ImageFiles, audit: Audit
) -> None:
    """Notes pictures that no table lists but that are called as those it lists: a table that lost its end.

    Image ids are of one length and form; thumbnails and overviews are called otherwise.
    """
    forms = {(len(stem), _is_hexadecimal(stem)) for stem in known if stem in files.by_stem}
    unlisted = {
        path.stem
        for path in strangers
        if is_picture(path) and (len(path.stem), _is_hexadecimal(path.stem)) in forms
    }
    if unlisted:
        found = f"{len(unlisted)} pictures are named like images and stand in no table; they are passed over"
        audit.note("row-missing", "", found)


def _is_hexadecimal(stem: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in stem)


def _check_images_are_there(root: Path, listed: Sequence[ImageRows], files: ImageFiles) -> None:
    if not listed:
        raise ManifestError(f"{root}: {FINDINGS} has a header but no row. Download it again.")
    if not any(image.image_id in files.by_stem for image in listed):
        raise ManifestError(
            f"{root}: none of the {len(listed)} images that {FINDINGS} lists is in this folder. Expected "
            "images/STUDY/IMAGE.dicom beside the table: is the download complete?"
        )


def _refuse(stranger: Path, salt: str, audit: Audit) -> None:
    where = str(stranger)
    name = stranger.stem.encode("utf-8", errors="backslashreplace").decode()  # archives leave other bytes
    path = stranger if name == stranger.stem else None  # no manifest could be written with it
    with audit.image(record_id_of(name, salt), where, path=path):
        raise InvalidRecordError("row-missing", where, "no table lists this image", "Is the table whole?")


def _read_image(
    image: ImageRows, files: ImageFiles, salt: str, options: VindrOptions, audit: Audit
) -> ImageRecord | None:
    row = image.row
    with audit.image(record_id_of(image.image_id, salt), row.where, place=row.place) as guard:
        guard.path = path = _only_file(image, files)
        look = look_at(path)
        identity = look.sop_instance_uid or f"{row.values['study id']}/{image.image_id}"
        guard.record_id = record_id_of(identity, salt)
        _check_rows(image, guard.record_id, audit)
        _check_size(row, look)
        record = _record(row, path, guard.record_id, look)
        _note_header(record, look, row, audit)
        lesions = read_findings(image.findings, record, audit)
        return replace(record, lesions=tuple(each for each in lesions if is_wanted(each.type, options.types)))
    return None


def _only_file(image: ImageRows, files: ImageFiles) -> Path:
    row = image.row
    study_id = row.text("study id")
    paths = files.of(study_id, row.text("image id"))
    if not paths:
        remedy = f"Expected images/{study_id}/{image.image_id}.dicom: is the download complete?"
        raise InvalidRecordError("image-missing", row.where, "the image was not found", remedy)
    if len(paths) > 1:
        remedy = f"Keep one of {paths[0]} and {paths[1]}."
        raise InvalidRecordError("image-repeated", row.where, f"{len(paths)} files have its name", remedy)
    return paths[0]


def _check_rows(image: ImageRows, record_id: str, audit: Audit) -> None:
    if not image.findings:
        found = f"{BREASTS} lists the image, {FINDINGS} does not: what it shows is not known"
        raise InvalidRecordError("row-missing", image.row.where, found, f"Is {FINDINGS} whole?")
    check_agreement(image.findings)
    if image.breast and (columns := differing_columns(image.findings[0], image.breast)):
        found = f"{BREASTS} row {image.breast.number} says something else in: {', '.join(columns)}"
        audit.note("tables-differ", record_id, found, place=image.row.place)


def _check_size(row: TableRow, look: ImageLook) -> None:
    """Boxes are in the pixels of the table's size; in a file of another size they lie elsewhere."""
    width, height = (row.whole_number(name, 1, _MAX_SIDE_PX) for name in ("width", "height"))
    if width is None or height is None:
        raise row.fault("width" if width is None else "height", "filled in")
    if (look.width, look.height) == (width, height):
        return
    scale_x, scale_y = look.width / width, look.height / height
    if (look.width, look.height) == (height, width):
        how = "width and height are swapped"
    elif abs(scale_x / scale_y - 1) < _SCALE_TOLERANCE:
        how = f"the image was scaled by {scale_x:.4g}"
    else:
        how = "it is of another shape"
    found = f"the table says {width} × {height} px, the file has {look.width} × {look.height} px: {how}"
    raise InvalidRecordError("size-differs", row.where, found, "Use the images as they were published.")


def _record(row: TableRow, path: Path, record_id: str, look: ImageLook) -> ImageRecord:
    row.choice("split", _SPLITS)  # read again for the official lists, of images without a fault alone
    return ImageRecord(
        image=path.absolute(),
        record_id=record_id,
        patient_id=row.text("study id").lower(),  # one study in capitals would be another patient
        width=look.width,
        height=look.height,
        laterality=row.choice("laterality", LATERALITIES),
        view_position=row.choice("view position", VIEWS),
        pixel_spacing_mm=look.pixel_spacing_mm,
        breast_density=_category(row, "breast density", density_category, "DENSITY A to D"),
        birads=_category(row, "breast birads", birads_category, "BI-RADS 0 to 6"),
        source=f"VinDr-Mammo {row.place}",
    )


def _category(row: TableRow, column: str, read: Callable[[str], int | None], expected: str) -> int | None:
    text = row.values[column]
    try:
        return None if text.lower() in UNKNOWN_MARKS else read(text)
    except ValueError:
        raise row.fault(column, expected) from None


def _note_header(record: ImageRecord, look: ImageLook, row: TableRow, audit: Audit) -> None:
    seen = look.attributes
    if seen is None:
        return
    differs = {
        "side": seen.laterality_source in _LATERALITY_TAGS and seen.laterality is not record.laterality,
        "view": seen.view_position_source in _VIEW_TAGS and seen.view_position is not record.view_position,
    }
    if names := [name for name, is_true in differs.items() if is_true]:
        found = f"the DICOM header names another {' and '.join(names)} than the table"
        audit.note("header-differs", record.record_id, found, place=row.place)
