"""The shapes of published figures: points, rows, and tables that our runs may stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Ours = Literal["run", "size_bands", "area_bands"]


@dataclass(frozen=True)
class PublishedPoint:
    """Lesion sensitivity at false positives per image as printed; `sd` over folds where one is given."""

    fppi: float
    sensitivity: float
    sd: float | None = None


@dataclass(frozen=True)
class PublishedRow:
    """What stands in one row of a paper's table.

    Attributes:
        before: the cells that name it, left of the figures. after: the cells right of them.
        row: what `Run.row` says to stand in it, or the band of lesions it is about; "" where neither.
    """

    before: tuple[str, ...]
    points: tuple[PublishedPoint, ...]
    after: tuple[str, ...] = ()
    row: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """A paper's table of sensitivities, in its own layout.

    Attributes:
        key: what `Run.table` says. source: paper and table.
        before, after: the headings left and right of the figures. value: of the figures: FPPI and sensitivity
            apart, or both in one column.
        joins: our runs are columns beside its rows, or one run stands in one row.
        ours: where our figure stands in the metrics of a run.
    """

    key: str
    source: str
    title: str
    before: tuple[str, ...]
    value: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    after: tuple[str, ...] = ()
    joins: Literal["columns", "rows"] = "columns"
    ours: Ours = "run"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishedDetector:
    """A column of P1's Table 2: AP50, and precision, recall and F1 at a score the paper does not state."""

    model: str
    backbone: str
    precision: float
    recall: float
    f1: float
    ap50: float
    row: str


@dataclass(frozen=True)
class PublishedNormals:
    """False positives per image without masses, by the lowest score shown."""

    data: str
    false_positives: Mapping[float, float]


def point_text(point: PublishedPoint) -> str:
    """As a paper sets it.

    >>> point_text(PublishedPoint(1.67, 0.99, 0.02)), point_text(PublishedPoint(0.5, 0.784))
    ('0.99 ± 0.02', '0.784')
    """
    spread = "" if point.sd is None else f" ± {digits_text(point.sd)}"
    return digits_text(point.sensitivity) + spread


def digits_text(value: float) -> str:
    """As printed: two digits, up to four where more were printed.

    >>> digits_text(0.9), digits_text(0.784), digits_text(0.7664)
    ('0.90', '0.784', '0.7664')
    """
    text = f"{value:.4f}"
    return text[:-2] + text[-2:].rstrip("0")
