"""The case-description tables of CBIS-DDSM: rows, the images they describe, official split, counts.

Findings: table-missing, table-empty, table-ambiguous, split-follows-patient (warned); row-repeated
(repaired); table-value, row-conflict, split-conflict (quarantined).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.reading import PublishedCounts
from mammo_monai.readers.repeated import are_same_files
from mammo_monai.readers.tables import TableRow, read_table
from mammo_monai.records import Laterality, Split, ViewPosition
from mammo_monai.schema import Action

logger = logging.getLogger(__name__)

TableKey = tuple[str, Split]
"""Kind of lesion and official list."""
MASS, CALCIFICATION = "mass", "calcification"
CASE_TABLES: Mapping[TableKey, str] = {
    (MASS, Split.TRAINING): "mass_case_description_train_set.csv",
    (MASS, Split.TEST): "mass_case_description_test_set.csv",
    (CALCIFICATION, Split.TRAINING): "calc_case_description_train_set.csv",
    (CALCIFICATION, Split.TEST): "calc_case_description_test_set.csv",
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
CASE_FOLDER = re.compile(
    r"((?:Mass|Calc)-(?:Training|Test)_(P_\d+)_(LEFT|RIGHT)_(CC|MLO))(_\d+)?", re.IGNORECASE
)
_VIEW_COLUMNS = ("patient id", "left or right breast", "image view")
_PATH_COLUMNS = ("image file path", "roi mask file path", "cropped image file path")
LATERALITY = {"LEFT": Laterality.LEFT, "RIGHT": Laterality.RIGHT}
VIEW = {"CC": ViewPosition.CC, "MLO": ViewPosition.MLO}
_TYPE = {"MASS": MASS, "CALCIFICATION": CALCIFICATION}
_PATHOLOGY = {name: name for name in ("MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK")}
_KIND = {"mass": MASS, "calc": CALCIFICATION}

# Counted in the four tables as published. The paper's text has 891 mass cases, the tables 892 patients; both
# have 753 with calcifications. A patient may stand in tables of both kinds (1566 in all), and so do 71 views.
_MASS_COUNTS = {
    "training images": 1231,
    "test images": 361,
    "training masses": 1318,
    "test masses": 378,
    "training patients": 691,
    "test patients": 201,
    "images": 1592,
    "masses": 1696,
    "patients": 892,
}
_CALCIFICATION_COUNTS = {
    "training calcification images": 1227,
    "test calcification images": 284,
    "training calcifications": 1546,
    "test calcifications": 326,
    "training calcification patients": 602,
    "test calcification patients": 151,
    "views in tables of both kinds": 71,
    "patients in tables of both kinds": 79,
}


@dataclass(frozen=True)
class CaseRow:
    """One abnormality in one view, as a case-description table has it.

    Attributes:
        breast_density: 1–4. birads: 0–6. subtlety: 1–5. The tables' 0 for density and subtlety is unknown.
        image_path, cropped_path, mask_path: the table's own paths; crop and mask are often swapped.
        place: table and row, without a folder.
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
    place: str = ""


@dataclass(frozen=True)
class TableImage:
    """The rows that describe one image: one kind of table, or both where they show the same view.

    Attributes:
        rows: at least one; those of the mass tables first. splits: the official list; more than one is a
            fault of the tables.
    """

    rows: tuple[TableRow, ...]
    splits: tuple[Split, ...]

    @property
    def image_path(self) -> str:
        """The first one; "" where no row has one."""
        return self.image_paths[0] if self.image_paths else ""

    @property
    def image_paths(self) -> tuple[str, ...]:
        """All different ones; a view in tables of both kinds has two."""
        paths = (row.values["image file path"] for row in self.rows)
        return tuple(dict.fromkeys(path for path in paths if path))


def read_case_table(path: Path) -> list[CaseRow]:
    """The rows of a case-description table, mass or calcification, train or test.

    Raises:
        ManifestError: a column is missing, or a value is none the data set has; file, row, value are named.
    """
    return [case_row(row) for row in read_table(Path(path), CASE_COLUMNS)]


def case_row(row: TableRow) -> CaseRow:
    """A row with its values converted.

    Raises:
        InvalidRecordError: a value is none the data set has.
    """
    return CaseRow(
        patient_id=row.text("patient id").upper(),
        laterality=row.choice("left or right breast", LATERALITY),
        view_position=row.choice("image view", VIEW),
        abnormality_id=row.text("abnormality id").removesuffix(".0"),
        abnormality_type=row.choice("abnormality type", _TYPE),
        birads=row.whole_number("assessment", 0, 6),
        breast_density=row.whole_number("breast density", 1, 4, unknown=("", "0")),
        pathology=row.choice("pathology", _PATHOLOGY),
        subtlety=row.whole_number("subtlety", 1, 5, unknown=("", "0")),
        image_path=row.text("image file path"),
        cropped_path=row.values["cropped image file path"],
        mask_path=row.values["roi mask file path"],
        place=row.place,
    )


def read_tables(
    tables: Sequence[Path], where: Path, kinds: Iterable[str], audit: Audit
) -> dict[TableKey, list[TableRow]]:
    """The rows of the case-description tables among some files, by kind and official list.

    Args:
        where: the folder that was searched, for messages. kinds: MASS, CALCIFICATION.

    Raises:
        ManifestError: none is there, none has a row, or one lacks a column.
    """
    wanted = {key: name for key, name in CASE_TABLES.items() if key[0] in set(kinds)}
    found: dict[TableKey, list[TableRow]] = {}
    for key, name in wanted.items():
        paths = [path for path in tables if path.name.lower() == name]
        if not paths:
            audit.note("table-missing", "", "the table is missing: its images are not read", place=name)
            continue
        if not are_same_files(paths):
            logger.warning("%s lies in %d places; %s is read", name, len(paths), paths[0])
            text = f"{len(paths)} different tables of this name; one is read"
            audit.note("table-ambiguous", "", text, place=name)
        found[key] = read_table(paths[0], CASE_COLUMNS)
        if not found[key]:
            audit.note("table-empty", "", "the table has a header and no row", place=name)
    if not found:
        raise ManifestError(
            f"{where}: expected {' or '.join(wanted.values())}, found "
            f"{', '.join(path.name for path in tables[:5]) or 'no .csv file'}. "
            "Put the case-description tables there, or name their folder."
        )
    if not any(found.values()):
        raise ManifestError(
            f"{where}: expected rows in {' or '.join(wanted.values())}, found headers only. "
            "Download the case-description tables again."
        )
    return found


def images_of(found: Mapping[TableKey, Sequence[TableRow]], audit: Audit) -> list[TableImage]:
    """The images the tables describe, in the tables' order; rows that stand twice count once.

    Rows of one image file, and rows of one view of one patient, are one image: so a row with a damaged cell
    cannot leave the image without one of its lesions. Calcification images of patients in the mass tables are
    in the list that the mass tables put the patient in: so no patient is on two sides.
    """
    of_patient = {_patient(row): key[1] for key, rows in found.items() if key[0] == MASS for row in rows}
    images: list[list[tuple[TableRow, Split]]] = []
    by_name: dict[tuple[str, ...], list[tuple[TableRow, Split]]] = {}
    for (kind, split), rows in found.items():
        for row in rows:
            names = _names_of(row)
            image = next((by_name[name] for name in names if name in by_name), None)
            if image is None:
                images.append(image := [])
            for name in names:
                if by_name.setdefault(name, image) is not image:
                    _move(by_name[name], image, by_name)
            image.append((row, of_patient.get(_patient(row), split) if kind == CALCIFICATION else split))
    _note_moved(found, of_patient, audit)
    return [
        TableImage(
            _without_repeats([row for row, _ in image], audit),
            tuple(dict.fromkeys(split for _, split in image)),
        )
        for image in images
        if image
    ]


def view_in_path(path: str) -> tuple[str, str, str] | None:
    """Patient, side and view that a table's path names with its first folder; None where that is no case's.

    >>> view_in_path("Mass-Training_P_00001_LEFT_CC_1/1.2/1.3/000001.dcm")
    ('P_00001', 'LEFT', 'CC')
    """
    case = CASE_FOLDER.fullmatch(path.replace("\\", "/").partition("/")[0])
    return (case[2].upper(), case[3].upper(), case[4].upper()) if case else None


def table_in_path(path: str) -> TableKey | None:
    """Kind and list that a table's path names with its first folder; None where that is no case's.

    >>> table_in_path("Calc-Test_P_00038_LEFT_CC/1.2/1.3/000000.dcm")
    ('calcification', <Split.TEST: 'test'>)
    """
    case = CASE_FOLDER.fullmatch(path.replace("\\", "/").partition("/")[0])
    if case is None:
        return None
    kind, part = case[0].lower().partition("_")[0].split("-")
    return _KIND[kind], Split(part)


def check_rows(image: TableImage, cases: Sequence[CaseRow]) -> None:
    """Refuses rows of one image that contradict one another.

    Raises:
        InvalidRecordError: two patients, breasts, views or official lists, one abnormality with two
            descriptions, or a path of another list or kind than the table's.
    """
    where = image.rows[0].where
    remedy = "Use the tables as they were published."
    if len(image.splits) > 1:
        found = "the image stands in the training and in the test table"
        raise InvalidRecordError("split-conflict", where, found, remedy)
    for row, case in zip(image.rows, cases, strict=True):
        _check_table(row, case, remedy)
    if len({(case.patient_id, case.laterality, case.view_position) for case in cases}) > 1:
        found = "rows of the same image name different patients, breasts or views"
        raise InvalidRecordError("row-conflict", where, found, remedy)
    in_paths = ((case.patient_id, view_in_path(case.image_path)) for case in cases)
    if any(named is not None and named[0] != patient for patient, named in in_paths):
        found = "the row names another patient than the path of its image"
        raise InvalidRecordError("row-conflict", where, found, remedy)
    ids = [(case.abnormality_type, case.abnormality_id) for case in cases]
    for each in dict.fromkeys(ids):
        if ids.count(each) > 1:
            found = f"{ids.count(each)} different rows for {each[0]} {each[1]} of the same image"
            raise InvalidRecordError("row-conflict", where, found, remedy)


def published_counts(*, calcifications: bool) -> PublishedCounts:
    """How many images, lesions and patients the published tables hold."""
    counts = _MASS_COUNTS | (_CALCIFICATION_COUNTS if calcifications else {})
    return PublishedCounts("the case-description tables as published (Lee et al., 2017), counted", counts)


def _check_table(row: TableRow, case: CaseRow, remedy: str) -> None:
    """Refuses a row that stands in the table of another list, or of another kind of lesion."""
    table = next((key for key, name in CASE_TABLES.items() if name == row.table.name.lower()), None)
    if table is None:
        return
    kind, split = table_in_path(case.image_path) or table
    if split is not table[1]:
        found = f"the table of the {table[1].value} list names an image of the {split.value} list"
        raise InvalidRecordError("split-conflict", row.where, found, remedy)
    if {kind, case.abnormality_type} != {table[0]}:
        found = f"the table of {table[0]} cases has a row of another kind of lesion"
        raise InvalidRecordError("row-conflict", row.where, found, remedy)


def _patient(row: TableRow) -> str:
    return row.values["patient id"].upper()


def _without_repeats(rows: Sequence[TableRow], audit: Audit) -> tuple[TableRow, ...]:
    kept: dict[tuple[str, ...], TableRow] = {}
    for row in rows:
        first = kept.setdefault(tuple(value.lower() for value in row.values.values()), row)
        if first is not row:
            found = f"the same row as row {first.number}"
            audit.note("row-repeated", "", found, Action.REPAIRED, place=row.place)
    return tuple(kept.values())


def rows_of_other_views(image: TableImage) -> list[TableRow]:
    """Of every view that paths of an image's rows name, but the first one, the first row that names it."""
    rows: dict[tuple[str, ...], TableRow] = {}
    for row in image.rows:
        for view in _views_in_paths(row):
            rows.setdefault(view, row)
    return [*rows.values()][1:]


def _move(
    rows: list[tuple[TableRow, Split]],
    image: list[tuple[TableRow, Split]],
    by_name: dict[tuple[str, ...], list[tuple[TableRow, Split]]],
) -> None:
    """Gives the rows of what seemed another image to an image, as a damaged row links the two."""
    image += rows
    by_name.update({name: image for row, _ in rows for name in _names_of(row)})
    rows.clear()


def _names_of(row: TableRow) -> list[tuple[str, ...]]:
    """What tells the image of a row from others: its file, spelt alike, and its views."""
    path = row.values["image file path"].replace("\\", "/").lower()
    views: list[tuple[str, ...]] = [*_views_in_paths(row)]
    if not views:
        views = [tuple(row.values[column].upper() for column in _VIEW_COLUMNS)]
    return [(path,), *views] if path else views


def _views_in_paths(row: TableRow) -> list[tuple[str, str, str]]:
    """The views that a row's paths name, that of the image first; one alone unless the row is damaged."""
    named = (view_in_path(row.values[column]) for column in _PATH_COLUMNS)
    return [*dict.fromkeys(view for view in named if view)]


def _note_moved(
    found: Mapping[TableKey, Sequence[TableRow]], of_patient: Mapping[str, Split], audit: Audit
) -> None:
    for (kind, split), rows in found.items():
        moved = {
            row.values["image file path"] for row in rows if of_patient.get(_patient(row), split) is not split
        }
        if moved and kind == CALCIFICATION:
            text = f"{len(moved)} images follow their patients into the other list of the mass tables"
            audit.note("split-follows-patient", "", text, place=CASE_TABLES[kind, split])
