"""VinDr-Mammo's tables: findings grouped by image, their categories read by pattern, columns compared."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.categories import joined_type
from mammo_monai.readers.tables import UNKNOWN_MARKS, TableRow, read_table

logger = logging.getLogger(__name__)

FINDINGS, BREASTS = "finding_annotations.csv", "breast-level_annotations.csv"
IMAGE_COLUMNS = (
    "study id",
    "laterality",
    "view position",
    "height",
    "width",
    "breast birads",
    "breast density",
    "split",
)
BOX_COLUMNS = ("xmin", "ymin", "xmax", "ymax")
FINDING_COLUMNS = ("image id", *IMAGE_COLUMNS, "finding categories", "finding birads", *BOX_COLUMNS)
NO_FINDING = "no finding"
# The ten categories of the paper's Table 3; where a type is coarser than the category, both stand there.
FINDING_TYPES = {
    "mass": "mass",
    "suspicious calcification": "calcification",
    "asymmetry": "asymmetry",
    "focal asymmetry": "asymmetry+focal asymmetry",
    "global asymmetry": "asymmetry+global asymmetry",
    "architectural distortion": "distortion",
    "skin thickening": "other+skin thickening",
    "skin retraction": "other+skin retraction",
    "nipple retraction": "other+nipple retraction",
    "suspicious lymph node": "other+suspicious lymph node",
}
_WORD = r"""(?:'([^'"]*)'|"([^'"]*)")"""
_WORDS = re.compile(_WORD)
_LIST = re.compile(rf"\[\s*{_WORD}(?:\s*,\s*{_WORD})*\s*,?\s*\]")


@dataclass(frozen=True)
class ImageRows:
    """What the tables say of one image.

    Attributes:
        image_id: a question mark and the row where the row names none.
        findings: rows of finding_annotations.csv; none where only the other table lists the image.
        breast: the row of breast-level_annotations.csv, if that table is there and lists the image.
    """

    image_id: str
    findings: tuple[TableRow, ...]
    breast: TableRow | None = None

    @property
    def row(self) -> TableRow:
        """The first row of the image, in the table that lists it."""
        rows = [*self.findings, *([self.breast] if self.breast else [])]
        return rows[0]


def read_image_rows(tables: Mapping[str, Path], audit: Audit) -> list[ImageRows]:
    """One entry per image in the order of finding_annotations.csv, then those of the other table alone.

    Args:
        tables: by their published names; the breast-level table may be missing, or unreadable (a finding).

    Raises:
        ManifestError: no table of findings, one that cannot be read, or a study in both official lists.
    """
    if FINDINGS not in tables:
        raise ManifestError(f"{tables[BREASTS].parent}: expected {FINDINGS} beside {BREASTS}; it is missing.")
    by_image: dict[str, list[TableRow]] = defaultdict(list)
    for row in read_table(tables[FINDINGS], FINDING_COLUMNS):
        by_image[row.values["image id"] or f"? {row.place}"].append(row)
    _check_splits(by_image)
    by_breast = _breast_rows(tables.get(BREASTS), audit)
    listed = [ImageRows(image, tuple(rows), by_breast.get(image)) for image, rows in by_image.items()]
    return listed + [ImageRows(image, (), row) for image, row in by_breast.items() if image not in by_image]


def _breast_rows(table: Path | None, audit: Audit) -> dict[str, TableRow]:
    try:
        rows = read_table(table, ("image id", *IMAGE_COLUMNS)) if table else []
    except ManifestError as error:
        logger.warning("%s It is not needed.", error)
        audit.note("table-unusable", "", f"{BREASTS} cannot be read; it serves to compare, and is not needed")
        return {}
    return {row.values["image id"]: row for row in rows if row.values["image id"]}


def finding_categories(text: str) -> tuple[str, ...]:
    """The categories in a cell, in small letters; read by pattern, never evaluated.

    Raises:
        ValueError: no list of quoted words, and no single word either.

    >>> finding_categories("['Mass', 'Suspicious Calcification']"), finding_categories("No Finding")
    (('mass', 'suspicious calcification'), ('no finding',))
    """
    quoted = [single or double for single, double in _WORDS.findall(text)]
    words = quoted if _LIST.fullmatch(text) else [text]
    plain = tuple(" ".join(word.casefold().split()) for word in words)
    if not all(re.fullmatch("[a-z -]+", word) for word in plain):
        raise ValueError(f"expected a list of finding categories, got {text!r:.80}")
    return plain


def finding_type(categories: Sequence[str]) -> str:
    """The lesion type of the categories of one finding; unknown ones are "other".

    >>> finding_type(["suspicious calcification", "mass"]), finding_type(["skin retraction"])
    ('mass+calcification', 'other+skin retraction')
    """
    return joined_type(FINDING_TYPES.get(category, "other") for category in categories)


def check_agreement(rows: Sequence[TableRow]) -> None:
    """Refuses rows of one image that say different things of the image.

    Raises:
        InvalidRecordError: the first row that does, and the columns.
    """
    for row in rows[1:]:
        if columns := differing_columns(rows[0], row):
            found = f"row {row.number} says something else of the same image in: {', '.join(columns)}"
            remedy = "Use the table as it was published."
            raise InvalidRecordError("row-differs", rows[0].where, found, remedy)


def differing_columns(first: TableRow, second: TableRow) -> list[str]:
    """The columns about the image, not the finding, in which two rows differ; case and ".0" do not count."""
    return [name for name in IMAGE_COLUMNS if _plain(first.values[name]) != _plain(second.values[name])]


def _plain(text: str) -> str:
    plain = text.casefold().removesuffix(".0")
    return "" if plain in UNKNOWN_MARKS else plain


def _check_splits(by_image: dict[str, list[TableRow]]) -> None:
    first: dict[str, TableRow] = {}
    for rows in by_image.values():
        for row in rows:
            known = first.setdefault(row.values["study id"].lower(), row)
            if row.values["study id"] and _list_of(known) != _list_of(row):
                raise ManifestError(
                    f"{row.where}: split is {row.values['split']!r:.40}, but row {known.number} puts the "
                    f"same study into {known.values['split']!r:.40}. A patient in two lists is a leak: "
                    "use the table as it was published."
                )


def _list_of(row: TableRow) -> str:
    """The word for a list, without case and with one spelling for training."""
    word = row.values["split"].lower()
    return "training" if word == "train" else word
