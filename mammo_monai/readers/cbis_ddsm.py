"""Reads CBIS-DDSM's mass cases: case-description tables, full mammograms, ROI masks found by content.

Source: Lee et al., "A curated mammography data set for use in computer-aided detection and diagnosis
research", Scientific Data 4:170177 (2017). The data set has no normal images and no pixel spacing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Action, Audit, InvalidRecordError, drop_repeated_records
from mammo_monai.readers.file_index import FileIndex
from mammo_monai.readers.image_header import read_dicom_header
from mammo_monai.readers.roi_masks import RoiMask, find_roi_masks
from mammo_monai.readers.tables import TableRow, read_table
from mammo_monai.records import ImageRecord, Laterality, Lesion, Split, ViewPosition, record_id_of

logger = logging.getLogger(__name__)

CASE_TABLES = {
    Split.TRAINING: "mass_case_description_train_set.csv",
    Split.TEST: "mass_case_description_test_set.csv",
}
CASE_COLUMNS = (
    "patient id",
    "breast density",
    "left or right breast",
    "image view",
    "abnormality id",
    "abnormality type",
    "assessment",
    "pathology",
    "subtlety",
    "image file path",
    "cropped image file path",
    "roi mask file path",
)
_LATERALITY = {"LEFT": Laterality.LEFT, "RIGHT": Laterality.RIGHT}
_VIEW = {"CC": ViewPosition.CC, "MLO": ViewPosition.MLO}


@dataclass(frozen=True)
class CaseRow:
    """One abnormality in one view, as a case-description table has it.

    Attributes:
        breast_density: 1–4. birads: 0–6. subtlety: 1–5. The tables' 0 for density and subtlety is unknown.
        image_path, cropped_path, mask_path: the table's own paths; crop and mask are often swapped.
    """

    patient_id: str
    laterality: Laterality
    view_position: ViewPosition
    abnormality_id: str
    abnormality_type: str
    birads: int | None
    breast_density: int | None
    pathology: str
    subtlety: int | None
    image_path: str
    cropped_path: str
    mask_path: str


def read_cbis_ddsm(
    root: Path,
    *,
    salt: str,
    csv_dir: Path | None = None,
    split: Split | None = None,
    audit: Audit | None = None,
) -> list[ImageRecord]:
    """The mass images of the official training and test tables, each with all its masses.

    Args:
        root: the folder with the case folders, at any depth below it.
        salt: of the record ids.
        csv_dir: where the case-description tables lie; anywhere below `root` if None.
        split: TRAINING or TEST for one official list; both if None.
        audit: collects findings and decides what a fault does; None raises on any.

    Raises:
        ManifestError: no table, a table without its columns, or images that cannot be read whole.
    """
    audit = audit or Audit()
    index = FileIndex(Path(root))
    found = [
        _read_image(rows, index, salt, audit)
        for table in _tables(index, csv_dir, split, audit)
        for rows in _by_image(read_table(table, CASE_COLUMNS))
    ]
    records = drop_repeated_records([record for record in found if record is not None], audit)
    audit.finish()
    return records


def read_case_table(path: Path) -> list[CaseRow]:
    """The rows of a case-description table, mass or calcification, train or test.

    Raises:
        ManifestError: a column is missing, or a value is none the data set has; file, row, value are named.
    """
    return [_case_row(row) for row in read_table(Path(path), CASE_COLUMNS)]


def _case_row(row: TableRow) -> CaseRow:
    return CaseRow(
        patient_id=row.text("patient id"),
        laterality=row.choice("left or right breast", _LATERALITY),
        view_position=row.choice("image view", _VIEW),
        abnormality_id=row.text("abnormality id"),
        abnormality_type=row.text("abnormality type").lower(),
        birads=row.whole_number("assessment", 0, 6),
        breast_density=row.whole_number("breast density", 1, 4, unknown=("", "0")),
        pathology=row.text("pathology"),
        subtlety=row.whole_number("subtlety", 1, 5, unknown=("", "0")),
        image_path=row.text("image file path"),
        cropped_path=row.values["cropped image file path"],
        mask_path=row.values["roi mask file path"],
    )


def _tables(index: FileIndex, csv_dir: Path | None, split: Split | None, audit: Audit) -> list[Path]:
    among = sorted(csv_dir.glob("*.csv")) if csv_dir else index.tables
    wanted = [CASE_TABLES[split]] if split else [*CASE_TABLES.values()]
    tables: list[Path] = []
    for name in wanted:
        found = [path for path in among if path.name.lower() == name]
        if len(found) > 1:
            logger.warning("%s lies in %d places; %s is read", name, len(found), found[0])
        if found:
            tables.append(found[0])
        else:
            audit.note("table-missing", "", f"no table {name}: its images are not in the manifest")
    if not {path.name.lower() for path in among} & set(CASE_TABLES.values()):
        raise ManifestError(
            f"{csv_dir or index.root}: expected {' or '.join(CASE_TABLES.values())}, found "
            f"{', '.join(path.name for path in among[:5]) or 'no .csv file'}. "
            "Put the case-description tables there, or name their folder."
        )
    return tables


def _by_image(rows: Sequence[TableRow]) -> list[list[TableRow]]:
    groups: dict[str, list[TableRow]] = defaultdict(list)
    for row in rows:
        groups[row.values["image file path"]].append(row)
    return [*groups.values()]


def _read_image(rows: list[TableRow], index: FileIndex, salt: str, audit: Audit) -> ImageRecord | None:
    first = rows[0]
    with audit.image(record_id_of(first.values["image file path"], salt), first.where) as guard:
        path = _full_image(index, first)
        attributes = read_dicom_header(path)
        guard.record_id = record_id_of(
            attributes.sop_instance_uid or path.relative_to(index.root).as_posix(), salt
        )
        cases = [_case_row(row) for row in rows]
        _note_laterality(cases[0], attributes.laterality, guard.record_id, audit)
        size = (attributes.columns, attributes.rows)
        masks = [_mask(case, row, index, path, size) for case, row in zip(cases, rows, strict=True)]
        _note_masks(masks, size, guard.record_id, audit)
        return ImageRecord(
            image=path.absolute(),
            record_id=guard.record_id,
            patient_id=cases[0].patient_id,
            width=size[0],
            height=size[1],
            lesions=tuple(_lesion(case, mask) for case, mask in zip(cases, masks, strict=True)),
            laterality=cases[0].laterality,
            view_position=cases[0].view_position,
            breast_density=cases[0].breast_density,
            source=f"CBIS-DDSM {first.table.name}, row {first.number}",
        )
    return None


def _full_image(index: FileIndex, row: TableRow) -> Path:
    located = index.locate(row.values["image file path"])
    if len(located) == 1:
        return located[0]
    code, found = "image-missing", "the full image was not found"
    if located:
        code, found = "image-ambiguous", f"{len(located)} files could be the full image"
    wanted = row.values["image file path"]
    raise InvalidRecordError(code, row.where, found, f"Looked below {index.root} for {wanted!r}.")


def _mask(case: CaseRow, row: TableRow, index: FileIndex, image: Path, size: tuple[int, int]) -> RoiMask:
    """The one mask of a row, wherever the table's mask and crop columns point to."""
    case_folder = f"{Path(case.image_path).parts[0]}_{case.abnormality_id}"
    candidates = dict.fromkeys(
        [*index.locate(case.mask_path), *index.locate(case.cropped_path), *index.in_folder(case_folder)]
    )
    candidates.pop(image, None)
    masks = find_roi_masks([*candidates], *size)
    if not masks:
        found = f"no ROI mask for abnormality {case.abnormality_id} among {len(candidates)} files"
        remedy = f"Expected a binary image of {size[0]} × {size[1]} px at {case.mask_path!r}."
        raise InvalidRecordError("mask-missing", row.where, found, remedy)
    if len({mask.box for mask in masks}) > 1:
        found = f"{len(masks)} different ROI masks for abnormality {case.abnormality_id}"
        raise InvalidRecordError("mask-ambiguous", row.where, found, f"See {masks[0].path.parent}.")
    return masks[0]


def _lesion(case: CaseRow, mask: RoiMask) -> Lesion:
    return Lesion(
        box=mask.box,
        id=case.abnormality_id,
        type=case.abnormality_type,
        pathology=case.pathology,
        birads=case.birads,
        subtlety=case.subtlety,
    )


def _note_laterality(case: CaseRow, in_file: Laterality | None, record_id: str, audit: Audit) -> None:
    if in_file is not None and in_file is not case.laterality:
        found = f"the table says {case.laterality.value}, the file {in_file.value}: the table's is kept"
        audit.note("laterality-differs", record_id, found)


def _note_masks(masks: Sequence[RoiMask], size: tuple[int, int], record_id: str, audit: Audit) -> None:
    for mask in masks:
        if (mask.width, mask.height) != size:
            found = f"a mask of {mask.width} × {mask.height} px was scaled to {size[0]} × {size[1]} px"
            audit.note("mask-rescaled", record_id, found, Action.REPAIRED)
    repeated = len(masks) - len({mask.box for mask in masks})
    if repeated:
        audit.note(
            "box-repeated", record_id, f"{repeated} of {len(masks)} masses have the box of another one"
        )
