"""Published figures as points for plots: what they are of, where they stand; context, never a ranking.

The figures are those of `published.py`; here each says on what kind of images it was measured, so that a plot
shows only its own kind. Every point is of other splits, other matching rules and other counts of lesions than
a run's. Left out: P0's Table IV, which falls where no FROC curve can; P2's S-5, of two kinds of images at
once; P3's figure at IoU .5, of another rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mammo_monai.reports.literature import published
from mammo_monai.reports.literature.records import PublishedPoint, PublishedRow
from mammo_monai.reports.runs import Run

# "digital": the public full-field digital set of 410 images; "film": the public scanned-film set, masses
# only; "in-house": P2's own, one biopsy-proven mass per image.
DataKind = Literal["digital", "film", "in-house"]


@dataclass(frozen=True)
class LiteraturePoint:
    """One published operating point, lesion level.

    Attributes:
        label: the method; points of one label belong together.
        sd: standard deviation over folds, None where none was printed.
        source: where it is printed. caveat: what keeps it from being compared, beyond the general caveat.
    """

    label: str
    fppi: float
    sensitivity: float
    sd: float | None = None
    kind: DataKind = "digital"
    source: str = ""
    caveat: str = ""


@dataclass(frozen=True)
class LiteratureNormals:
    """Published false positives per normal image at a score; scores of different models do not compare."""

    label: str
    score: float
    false_positives_per_image: float
    kind: DataKind = "digital"


@dataclass(frozen=True)
class LiteratureBand:
    """A published sensitivity for lesions of one size or area band; `band` as metrics.json names it."""

    label: str
    band: str
    sensitivity: float
    fppi: float


def froc_literature(kind: DataKind | None) -> tuple[LiteraturePoint, ...]:
    """The published operating points on one kind of images; none where the kind is unknown."""
    return tuple(point for point in _FROC if point.kind == kind)


def normals_literature(kind: DataKind | None) -> tuple[LiteratureNormals, ...]:
    """P2's false positives per normal image on one kind of images; none where the kind is unknown."""
    return tuple(
        LiteratureNormals("Jung et al., 2018 (P2)", score, value, of)
        for each in published.P2_NORMALS
        for of in (_IN_HOUSE if each.data == _IN_HOUSE else _DIGITAL,)
        for score, value in each.false_positives.items()
        if of == kind
    )


def bands_literature(kind: DataKind | None) -> tuple[LiteratureBand, ...]:
    """The published sensitivities by size and by area; they are of digital images alone."""
    return tuple(
        LiteratureBand(label, row.row, point.sensitivity, point.fppi)
        for key, label in (("P0-V", "RetinaNet, two stages (P0)"), ("P3-sizes", "Agarwal et al. (P3)"))
        for row in _rows(key)
        for point in row.points
        if kind == _DIGITAL
    )


def kind_of_table(table: str) -> DataKind | None:
    """What kind of images a published table is of; None where it is of several kinds, or unknown.

    P2's S-5 tests on two kinds at once, P1's set is private.

    >>> kind_of_table("P0-II"), kind_of_table("P0-IV"), kind_of_table("P2-S5")
    ('digital', 'film', None)
    """
    if table == "P0-IV":
        return "film"
    if table.startswith(("P0-", "P3")) or table in {f"P2-S{n}" for n in _DIGITAL_SETUPS}:
        return _DIGITAL
    return _IN_HOUSE if table in {f"P2-S{n}" for n in _IN_HOUSE_SETUPS} else None


def kind_of_runs(runs: Sequence[Run]) -> DataKind | None:
    """The one kind of images that all runs reproduce tables of; None where they differ or none says so."""
    kinds = {kind_of_table(run.table) for run in runs}
    return kinds.pop() if len(kinds) == 1 else None


_DIGITAL: DataKind = "digital"
_IN_HOUSE: DataKind = "in-house"
_DIGITAL_SETUPS, _IN_HOUSE_SETUPS = (1, 3, 6), (2, 4, 7)
_BOTH_TABLES = "P0, Table III; P3, Table 4"


def _rows(key: str) -> tuple[PublishedRow, ...]:
    return next((table.rows for table in published.PAPER_TABLES if table.key == key), ())


def _series(
    label: str,
    source: str,
    points: Iterable[PublishedPoint],
    *,
    kind: DataKind = _DIGITAL,
    caveat: str = "",
) -> tuple[LiteraturePoint, ...]:
    return tuple(
        LiteraturePoint(label, point.fppi, point.sensitivity, point.sd, kind, source, caveat)
        for point in points
    )


def _setups(numbers: Iterable[int], kind: DataKind) -> tuple[LiteraturePoint, ...]:
    rows = {row.row: row.points for row in _rows("P2-S")}
    return tuple(
        point
        for n in numbers
        for point in _series(f"Jung et al., 2018, S-{n}", "P2, text on Fig. 4", rows[f"S-{n}"], kind=kind)
    )


_FROC = (
    *_series("RetinaNet, two-stage transfer", "P0, Table II", published.TWO_STAGE),
    *_series("RetinaNet, one stage", "P0, Table I", published.ONE_STAGE),
    *_series("Agarwal et al., 2019, patch CNN", "P3, Table 4", published.PATCH_CNN),
    *_series("the same from ImageNet only", "P3, Fig. 3", published.PATCH_CNN_FROM_IMAGENET),
    *_setups(_DIGITAL_SETUPS, _DIGITAL),
    *_series("Ribli et al.", _BOTH_TABLES, published.RIBLI, caveat="malignant lesions only"),
    *_series("Kozegar et al.", _BOTH_TABLES, published.KOZEGAR, caveat="107 of 410 images"),
    *_series("Dhungel et al.", "P0, Table III", published.DHUNGEL),
    *_series("Akselrod-Ballin et al.", _BOTH_TABLES, published.AKSELROD_BALLIN, caveat="100 of 410 images"),
    *_setups(_IN_HOUSE_SETUPS, _IN_HOUSE),
    *_series(
        "independent re-implementation",
        "not one of the papers",
        published.REIMPLEMENTATION,
        kind="film",
        caveat="one view, not peer reviewed",
    ),
)
