"""Figures of whole images as tables and lines: what is positive, and figures at a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.table import UNDEFINED, WILSON_MARK, Table, figure_text
from mammo_monai.words import counted

Json = Mapping[str, Any]
_NAMES = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1",
}
_YOUDEN = " (Youden)"


def marks_boxes(run: Run) -> bool:
    """Whether a run has figures of boxes; a model that scores whole images alone has none."""
    return not run.metrics.get("no_boxes")


def units_of(run: Run) -> Json:
    """What `units` of metrics.json says; as it was before there was a choice where it says nothing."""
    return {"score": "highest_detection", "positive": "lesion", **(run.metrics.get("units") or {})}


def scores_images(run: Run) -> bool:
    """Whether images have scores of their own."""
    return bool(units_of(run)["score"] == "image_score")


def positive_words(runs: Sequence[Run]) -> tuple[str, str]:
    """What positive and negative units are: `with a lesion` and `without`, where all runs mean that."""
    classes = {units_of(run)["positive"] for run in runs}
    if classes == {"malignant"}:
        return "malignant", "not"
    return ("with a lesion", "without") if classes <= {"lesion"} else ("positive", "negative")


def against_words(runs: Sequence[Run]) -> str:
    """What a ROC curve tells apart: `those with a lesion against those without`."""
    positive, negative = positive_words(runs)
    return f"those {positive} against those {'that are not' if negative == 'not' else negative}"


def score_words(runs: Sequence[Run]) -> str:
    """How units are scored: `the highest score of each image, breast or patient`, if so in all runs."""
    detectors = "the highest score of each image, breast or patient"
    images = "the score of each image, its mean over the views of a breast and over the breasts of a patient"
    kinds = {scores_images(run) for run in runs}
    if kinds == {True, False}:
        return f"{images}; of detectors by {detectors}"
    return images if kinds == {True} else detectors


def auc_of(run: Run, level: str = "image") -> Json | None:
    """The entry of `roc` at a level; None where the run has none."""
    return next((each for each in run.metrics.get("roc") or () if each.get("level") == level), None)


def image_figure_table(runs: Sequence[Run]) -> Table | None:
    """Accuracy, sensitivity, specificity, precision and F1 at the threshold; None where no run has them."""
    rows, left_out = [], []
    for run in runs:
        units = units_of(run)
        for each in units.get("figures") or ():
            counts = (str(each["n_positive"]), str(each["n_negative"]))
            rows.append((run.name, each["level"], *counts, f"{each['threshold']:.4g}", *_cells(each)))
            if each.get("youden"):
                at = f"{each['youden']['threshold']:.4g}{_YOUDEN}"
                rows.append((run.name, each["level"], *counts, at, *_cells(each["youden"])))
        if units.get("n_left_out"):
            left_out.append(
                f"{run.name}: {counted(units['n_left_out'], 'image')} left out, as nobody knows the class."
            )
    if not rows:
        return None
    positive, negative = positive_words(runs)
    has_youden = any(_YOUDEN in row[4] for row in rows)
    optimistic = (
        "Youden: its threshold was chosen on these very images, where sensitivity + specificity is highest, "
        "so the figures are too good for new ones."
    )
    return Table(
        f"Images, breasts and patients called positive from a score on, {_confidence(runs)} interval by "
        "resampling patients",
        ("run", "level", positive, negative, "score at least", *_NAMES.values()),
        tuple(rows),
        notes=(*((optimistic,) if has_youden else ()), *left_out),
    )


def image_headline(run: Run) -> str:
    """`AUC 0.91 (95 % CI 0.86–0.95) per image`, or why there is none."""
    entry = auc_of(run)
    if entry is None:
        return "AUC undefined: it needs positive and negative images"
    bounds = ""
    if entry.get("low") is not None:
        bounds = f" ({_confidence([run])} CI {entry['low']:.2f}–{entry['high']:.2f})"
    return f"AUC {entry['auc']:.2f}{bounds} per image"


def image_counts(run: Run) -> str:
    """The images behind a figure of whole images, by class."""
    units, entry = units_of(run), auc_of(run)
    positive, negative = positive_words([run])
    known = units.get("n_images", run.metrics["n_images"])
    parts = [counted(known, "image")]
    if entry:
        parts[0] += f", {entry['n_positive']} {positive} and {entry['n_negative']} {negative}"
    if units.get("n_left_out"):
        parts.append(f"{units['n_left_out']} of unknown class left out")
    if run.metrics.get("n_patients") is not None:
        parts.append(counted(run.metrics["n_patients"], "patient"))
    return ", ".join([*parts, *([f"{run.inputs['split']} list"] if run.inputs.get("split") else [])])


def image_lines(run: Run) -> list[str]:
    """Lines for a terminal: areas per image, breast and patient, and figures at the threshold; maybe none."""
    if not scores_images(run):
        return []
    positive, negative = positive_words([run])
    lines = []
    for each in run.metrics.get("roc") or ():
        bounds = "" if each.get("low") is None else f" ({each['low']:.3f}–{each['high']:.3f})"
        counts = f"{each['n_positive']} {positive}, {each['n_negative']} {negative}"
        lines.append(f"AUC per {each['level']}: {each['auc']:.3f}{bounds}; {counts}")
    table = image_figure_table([run])
    return [*lines, *([table.as_text(), *table.footnotes] if table else [])]


def _cells(figures: Json) -> tuple[str, ...]:
    bounds = figures.get("intervals") or {}
    return tuple(_cell(figures.get(name), bounds.get(name) or {}) for name in _NAMES)


def _cell(value: float | None, bounds: Json) -> str:
    if value is None:
        return UNDEFINED
    if bounds.get("low") is None:
        return figure_text(value)
    mark = WILSON_MARK if bounds.get("interval") == "wilson" else ""
    return f"{value:.2f} ({bounds['low']:.2f}–{bounds['high']:.2f}){mark}"


def _confidence(runs: Sequence[Run]) -> str:
    levels = {run.metrics["rule"].get("confidence", 0.95) for run in runs}
    return " / ".join(f"{100 * each:g} %" for each in sorted(levels))
