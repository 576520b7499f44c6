"""Mean ± SD over the folds of runs: what the papers print, beside the pooled figure with its interval."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mammo_monai.metrics.froc import FrocCurve, sensitivity_at_fppi
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.image_tables import auc_of, scores_images
from mammo_monai.reports.tables.run_tables import SHOWN_FPPI
from mammo_monai.reports.tables.table import UNDEFINED, Table

Figure = Callable[[Run], float | None]
SPREAD_NOTE = "SD over folds with n − 1; folds share training images, so it says less than an interval would."


@dataclass(frozen=True)
class FoldSpread:
    """Mean and SD (n − 1) over the folds that define a figure; `sd` is None where one alone does."""

    mean: float
    sd: float | None
    n: int


def fold_spread(run: Run, figure: Figure) -> FoldSpread | None:
    """The spread of a figure over the folds of a run; None where no fold defines it."""
    values = [value for fold in run.folds if (value := figure(fold)) is not None]
    if not values:
        return None
    return FoldSpread(
        statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values)
    )


def spread_text(run: Run, figure: Figure) -> str:
    """`0.93 ± 0.05`, with how many folds define it where not all do; a dash where none does."""
    spread = fold_spread(run, figure)
    if spread is None:
        return UNDEFINED
    text = f"{spread.mean:.2f}" + ("" if spread.sd is None else f" ± {spread.sd:.2f}")
    return text if spread.n == len(run.folds) else f"{text} ({spread.n} of {len(run.folds)} folds)"


def has_folds(run: Run) -> bool:
    """Whether a run was joined from several folds, so that a spread says something."""
    return len(run.folds) > 1


def sensitivity_of(fppi: float) -> Figure:
    """The figure: sensitivity at an operating point, else as the curve has it there; None if undefined."""

    def figure(run: Run) -> float | None:
        point, froc = run.point_at(fppi), run.metrics["froc"]
        if point is not None:
            return None if point["sensitivity"] is None else float(point["sensitivity"])
        if not run.metrics["n_lesions"] or not froc["fppi"] or None in froc["sensitivity"]:
            return None
        return sensitivity_at_fppi(FrocCurve(froc["fppi"], froc["sensitivity"]), fppi)

    return figure


def value_of(name: str) -> Figure:
    """The figure: `mean_sensitivity` or `average_precision`."""
    return lambda run: (run.metrics.get(name) or {}).get("value")


def image_auc(level: str) -> Figure:
    """The figure: area under the ROC curve at a level, of runs whose images have scores of their own."""

    def figure(run: Run) -> float | None:
        entry = auc_of(run, level) if scores_images(run) else None
        return None if entry is None else float(entry["auc"])

    return figure


def fold_table(runs: Sequence[Run]) -> Table | None:
    """Mean ± SD over folds at the operating points and of the figures without one; None without folds."""
    if not any(has_folds(run) for run in runs):
        return None
    figures: Mapping[str, Figure] = {
        **{f"sensitivity @ {fppi:g}": sensitivity_of(fppi) for fppi in _shown(runs)},
        "mean sensitivity": value_of("mean_sensitivity"),
        "AP50": value_of("average_precision"),
        **{f"AUC per {level}": image_auc(level) for level in ("image", "breast", "patient")},
    }
    rows = tuple(
        (name, *(spread_text(run, figure) if has_folds(run) else UNDEFINED for run in runs))
        for name, figure in figures.items()
    )
    kept = tuple(row for row in rows if any(cell != UNDEFINED for cell in row[1:]))
    counts = "; ".join(f"{run.name}: {len(run.folds)} folds" for run in runs if has_folds(run))
    return Table(
        f"Mean ± SD over folds, each fold scored alone ({counts})",
        ("figure", *(run.name for run in runs)),
        kept,
        runs="columns",
        notes=(SPREAD_NOTE,),
    )


def shown_points(points: Iterable[Mapping[str, Any]]) -> list[float]:
    """The FPPI to show of points: the usual ones among them, else all."""
    every = sorted({point["fppi"] for point in points})
    return [fppi for fppi in SHOWN_FPPI if fppi in every] or every


def _shown(runs: Sequence[Run]) -> list[float]:
    return sorted({point["fppi"] for run in runs for fold in run.folds for point in fold.points})
