"""The table of runs: one row per run, as cells for people and as numbers for CSV."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from mammo_monai.experiments.data_request import ONCE
from mammo_monai.experiments.results import POINTS, Results, RunResult
from mammo_monai.metrics import PairedDifference
from mammo_monai.reports.documents.table_csv import csv_cell
from mammo_monai.reports.plots import RUN_COLOURS
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.run_tables import sensitivity_text
from mammo_monai.reports.tables.table import UNDEFINED, WILSON_MARK, Table

CSV_COLUMNS = (
    "run",
    "folds",
    "folds_in_all",
    "images",
    "lesions",
    "patients",
    "mean_sensitivity",
    "low",
    "high",
    "fold_mean",
    "fold_sd",
    *(f"{name}_{fppi:g}" for fppi in POINTS for name in ("sensitivity", "low", "high")),
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "epochs",
    "training_s",
    "seconds_per_image",
    "parameters",
    "scored_on",
    "table",
    "row",
    *(
        f"{level}_{name}"
        for level in ("image", "breast", "patient")
        for name in ("auc", "auc_low", "auc_high")
    ),
)
# As many runs as the FROC plot has colours carry theirs in the table.
COLOURED = len(RUN_COLOURS)


def runs_tables(results: Results) -> list[Table]:
    """One table for the runs that are scored on the same images, in the order of the first of each."""
    groups = results.scored_groups
    named = [
        f"Scored on the {each.scored_on}. " if len(groups) > 1 and each.scored_on else "" for each in groups
    ]
    tables = [runs_table(each) for each in groups]
    return [replace(table, caption=name + table.caption) for name, table in zip(named, tables, strict=True)]


def runs_table(results: Results) -> Table:
    """One row per run with a result, the figure to choose by and the difference first.

    Args:
        results: of runs that are scored on the same images.
    """
    scored = [run for run in results.runs if run.metrics is not None]
    header: tuple[str, ...] = ("run", "folds", "mean sensitivity", f"difference to {results.runs[0].name}")
    header += ("p", *(f"@ {fppi:g}" for fppi in POINTS), "mean ± SD of folds", "AUC per image")
    header += ("training per fold", "s per image", "parameters")
    return Table(
        "Detections of all finished folds joined, each image once; lesion sensitivity, mean over 0.25, 0.5, "
        f"1, 2 and 4 FPPI and at single ones, {confidence_text(results)} interval by resampling patients "
        f"({WILSON_MARK} Wilson over lesions, where that says nothing); p by swapping the two runs patient "
        "by patient, not corrected for their number; SD with n − 1; runs that mark no place have no "
        "sensitivity per lesion; times and parameters: median over folds",
        header,
        tuple(_cells(run) for run in scored),
        runs="rows" if len(scored) <= COLOURED else None,
    )


def missing_table(results: Results) -> Table | None:
    """Folds without a result, a row per run and reason; None where there are none."""
    rows = []
    for run in results.runs:
        for reason in dict.fromkeys(run.missing.values()):
            folds = [fold for fold, why in run.missing.items() if why == reason]
            rows.append((run.name, ", ".join(folds), reason))
    return Table("Without a result", ("run", "folds", "why"), tuple(rows)) if rows else None


def as_markdown(table: Table) -> str:
    """The table in Markdown, caption first.

    >>> print(as_markdown(Table("Two", ("run", "n"), (("a|b", "1"),))))
    Two
    <BLANKLINE>
    | run | n |
    |---|---|
    | a\\|b | 1 |
    """
    rule = "|" + "---|" * len(table.header)
    rows = [_markdown_row(table.header), rule, *(_markdown_row(row) for row in table.rows)]
    return "\n".join([table.caption, "", *rows])


def as_csv(results: Results) -> str:
    """One row of plain numbers per run; undefined is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for run in results.runs:
        writer.writerow(csv_cell(each) for each in _numbers(run))
    return stream.getvalue()


def scored_runs(results: Results) -> list[Run]:
    """The runs with a result as reports take them."""
    return [Run(run.name, run.metrics) for run in results.runs if run.metrics is not None]


def confidence_text(results: Results) -> str:
    """Of the intervals, such as 95 %."""
    first = next(run.metrics for run in results.runs if run.metrics is not None)
    return f"{100 * first['rule']['confidence']:g} %"


def duration_text(seconds: float | None) -> str:
    """Seconds as people say them.

    >>> duration_text(42), duration_text(260), duration_text(9000), duration_text(None)
    ('42 s', '4.3 min', '2.5 h', '–')
    """
    if seconds is None:
        return UNDEFINED
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _cells(run: RunResult) -> tuple[str, ...]:
    scored = Run(run.name, run.metrics or {})
    parameters, seconds = run.median_of("n_parameters"), run.median_of("seconds_per_image")
    return (
        run.name,
        _folds_text(run),
        _mean_text(run),
        *_difference_texts(run.difference),
        *(sensitivity_text(scored.point_at(fppi)) if run.marks_places else UNDEFINED for fppi in POINTS),
        _spread_text(run.fold_means),
        _area_text(run),
        duration_text(run.median_of("training_s")),
        UNDEFINED if seconds is None else f"{seconds:.2f}",
        UNDEFINED if parameters is None else f"{parameters / 1e6:.1f} M",
    )


def _difference_texts(difference: PairedDifference | None) -> tuple[str, str]:
    """Difference with its interval, and p."""
    if difference is None or math.isnan(difference.difference):
        return UNDEFINED, UNDEFINED
    bounds = "" if math.isnan(difference.low) else f" ({difference.low:+.3f} to {difference.high:+.3f})"
    p_value = UNDEFINED if math.isnan(difference.p_value) else f"{difference.p_value:.3f}"
    return f"{difference.difference:+.3f}{bounds}", p_value


def _area_text(run: RunResult) -> str:
    """AUC per image with its interval."""
    area = run.area_at("image")
    if area is None or area["auc"] is None:
        return UNDEFINED
    bounds = "" if area["low"] is None else f" ({area['low']:.3f}–{area['high']:.3f})"
    return f"{area['auc']:.3f}{bounds}"


def _mean_text(run: RunResult) -> str:
    value = run.metrics["mean_sensitivity"]["value"] if run.metrics and run.marks_places else None
    if value is None:
        return UNDEFINED
    bounds = f" ({run.interval.low:.3f}–{run.interval.high:.3f})" if run.interval else ""
    return f"{value:.3f}{bounds}"


def _spread_text(means: Sequence[float]) -> str:
    if len(means) < 2:
        return UNDEFINED
    return f"{statistics.mean(means):.3f} ± {statistics.stdev(means):.3f}"


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(escaped) + " |"


def _folds_text(run: RunResult) -> str:
    return ONCE if run.folds == (ONCE,) else f"{len(run.finished)} of {len(run.folds)}"


def _numbers(run: RunResult) -> list[object]:
    metrics, means, difference = run.metrics or {}, run.fold_means, run.difference
    places = metrics if run.marks_places else {}
    points = [Run(run.name, places).point_at(fppi) if places else None for fppi in POINTS]
    areas = [run.area_at(level) or {} for level in ("image", "breast", "patient")]
    return [
        run.name,
        len(run.finished),
        len(run.folds),
        *(metrics.get(name) for name in ("n_images", "n_lesions", "n_patients")),
        (places.get("mean_sensitivity") or {}).get("value"),
        *((run.interval.low, run.interval.high) if run.interval else (None, None)),
        statistics.mean(means) if means else None,
        statistics.stdev(means) if len(means) > 1 else None,
        *((point or {}).get(name) for point in points for name in ("sensitivity", "low", "high")),
        *(_finite(getattr(difference, name, None)) for name in ("difference", "low", "high", "p_value")),
        *(run.median_of(name) for name in ("epochs", "training_s", "seconds_per_image", "n_parameters")),
        *(text or None for text in (run.scored_on, run.table, run.row)),
        *(area.get(name) for area in areas for name in ("auc", "low", "high")),
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
