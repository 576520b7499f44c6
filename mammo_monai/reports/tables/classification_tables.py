"""Figures of patch and image classifiers as tables: per run, per class, over runs, of two models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mammo_monai.metrics.classification import ClassificationFigures, Figure, FigureName
from mammo_monai.metrics.classification_files import ScoredClasses
from mammo_monai.metrics.classification_runs import RunsFigure
from mammo_monai.reports.tables.table import UNDEFINED, WILSON_MARK, Table, figure_text

COLUMNS: Mapping[FigureName, str] = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1",
}


def class_tables(scored: ScoredClasses) -> list[Table]:
    """All tables of scored files, in the order they are printed."""
    tables = [_runs_table(scored), _per_class_table(scored), _confusion_table(scored)]
    return tables + ([_paired_table(scored)] if scored.paired else [])


def _runs_table(scored: ScoredClasses) -> Table:
    rows = _rows(scored.names, scored.runs, scored.over_runs, "mean ± SD")
    rows += _rows(scored.other_names, scored.others, scored.over_others, "mean ± SD, against")
    share = f"{100 * scored.rule.confidence:g} %"
    return Table(
        f"Anything but background against background, accuracy of all classes; {share} intervals, patients.",
        ("run", "patches", "patients", *COLUMNS.values()),
        tuple(rows),
        runs="rows",
        notes=("SD over runs with n − 1: chance in training, not in patients.",)
        if len(scored.runs) > 1
        else (),
    )


def _rows(
    names: Sequence[str], runs: Sequence[ClassificationFigures], over: Sequence[RunsFigure], label: str
) -> list[tuple[str, ...]]:
    rows = [
        (
            name,
            str(run.n_units),
            str(run.n_patients),
            *(_with_interval(run.figures[each]) for each in COLUMNS),
        )
        for name, run in zip(names, runs, strict=True)
    ]
    if len(runs) > 1:
        by_name = {each.name: each for each in over}
        rows.append((label, "", "", *(_mean_sd(by_name[each]) for each in COLUMNS)))
    return rows


def _per_class_table(scored: ScoredClasses) -> Table:
    rows = [
        (run_name, class_name, *(_with_interval(figures[each]) for each in COLUMNS))
        for run_name, run in _all_runs(scored)
        for class_name, figures in zip(scored.class_names, run.per_class, strict=True)
    ]
    return Table("Each class against all others.", ("run", "class", *COLUMNS.values()), tuple(rows))


def _confusion_table(scored: ScoredClasses) -> Table:
    rows = [
        (run_name, class_name, *(str(count) for count in counts))
        for run_name, run in _all_runs(scored)
        for class_name, counts in zip(scored.class_names, run.confusion.tolist(), strict=True)
    ]
    return Table(
        "Patches of a true class (row) called each class (column).",
        ("run", "true class", *scored.class_names),
        tuple(rows),
    )


def _paired_table(scored: ScoredClasses) -> Table:
    rows = [
        (
            COLUMNS[each.name],
            _number(each.first),
            _number(each.second),
            _number(each.difference, "+.3f"),
            _bounds(each.low, each.high),
            _number(each.p_value),
        )
        for each in scored.paired
    ]
    mcnemar = "; ".join(
        f"{first} {test.first_alone}, {second} {test.second_alone}, p = {test.p_value:.3g}"
        for first, second, test in zip(scored.names, scored.other_names, scored.mcnemar, strict=True)
    )
    return Table(
        "Against minus first, the same patches: bootstrap interval and permutation p-value over patients.",
        ("figure", "first", "against", "difference", "interval", "p"),
        tuple(rows),
        notes=(
            f"Right alone, McNemar's exact test (takes patches for independent): {mcnemar}.",
            *dict.fromkeys(each.note for each in scored.paired if each.note),
        ),
    )


def _all_runs(scored: ScoredClasses) -> list[tuple[str, ClassificationFigures]]:
    return list(zip((*scored.names, *scored.other_names), (*scored.runs, *scored.others), strict=True))


def _with_interval(figure: Figure) -> str:
    if math.isnan(figure.value):
        return UNDEFINED
    bounds = _bounds(figure.low, figure.high)
    mark = WILSON_MARK if figure.method == "wilson" else ""
    return f"{figure.value:.3f}" + (f" ({bounds}){mark}" if bounds != UNDEFINED else "")


def _mean_sd(figure: RunsFigure) -> str:
    if math.isnan(figure.mean):
        return UNDEFINED
    return f"{figure.mean:.3f} ± {figure.sd:.3f}"


def _bounds(low: float, high: float) -> str:
    return UNDEFINED if math.isnan(low) or math.isnan(high) else f"{low:.3f}–{high:.3f}"


def _number(value: float, spec: str = ".3f") -> str:
    return figure_text(None) if math.isnan(value) else format(value, spec)
