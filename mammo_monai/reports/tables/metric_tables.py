"""Figures beyond lesion sensitivity as tables: other levels, AP, precision, ROC, JAFROC, calibration.

Each returns None where no run has anything to put into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import shown_points
from mammo_monai.reports.tables.image_tables import positive_words, score_words, scores_images
from mammo_monai.reports.tables.run_tables import confidence_text, level, sensitivity_text
from mammo_monai.reports.tables.table import UNDEFINED, WILSON_MARK, Table, figure_text

Json = Mapping[str, Any]
_FOUND = {"image": "of itself", "breast": "in any view", "patient": "in any view of either breast"}


def level_table(runs: Sequence[Run]) -> Table | None:
    """Sensitivity per image, breast and patient; a unit is found where one of its lesions is hit."""
    entries = [(run, each) for run in runs for each in run.metrics.get("levels") or () if each.get("n")]
    if not entries:
        return None
    shown = shown_points(point for _, each in entries for point in each["points"])
    rows = []
    for run, each in entries:
        points = {point["fppi"]: {"low": None, "high": None, **point} for point in each["points"]}
        cells = (sensitivity_text(points.get(fppi)) for fppi in shown)
        rows.append((run.name, each["level"], str(each["n"]), *cells))
    found = "; ".join(f"{name}: {where}" for name, where in _FOUND.items())
    return Table(
        f"Sensitivity per image, breast and patient at false positives per image, "
        f"{confidence_text(runs)} interval by resampling patients",
        ("run", "level", "with a lesion", *(f"@ {fppi:g}" for fppi in shown)),
        tuple(rows),
        notes=(f"Found: one of its lesions is hit ({found}). Hits as at {_rules(runs)}.",),
    )


def average_precision_table(runs: Sequence[Run]) -> Table | None:
    """Average precision as COCO averages it, at its single limits, and at that of the metrics."""
    found = [run.metrics.get("average_precision") or {} for run in runs]
    if not any(each.get("coco") for each in found):
        return None
    rows = []
    for run, each in zip(runs, found, strict=True):
        coco = each.get("coco") or {}
        cells = (figure_text(coco.get(name), digits=3) for name in ("ap", "ap50", "ap75"))
        rows.append((run.name, *cells, str(run.metrics["n_lesions"]), str(run.metrics["n_images"])))
    return Table(
        "Average precision (AP): mean over IoU from 0.50 to 0.95 in steps of 0.05, and at 0.50 and 0.75",
        ("run", "AP", "AP50", "AP75", "lesions", "images"),
        tuple(rows),
        runs="rows",
        notes=("The IoU here is AP's own, not that of the FROC rule. No interval was computed.",),
    )


def precision_recall_table(runs: Sequence[Run]) -> Table | None:
    """Precision, recall and F1 at operating points, and where F1 is highest; of runs with lesions."""
    entries = [(run, run.metrics.get("precision_recall") or {}) for run in runs if run.metrics["n_lesions"]]
    shown = shown_points(point for _, each in entries for point in each.get("points") or ())
    rows = []
    for run, each in entries:
        points = [("", point) for point in each.get("points") or () if point["fppi"] in shown]
        points += [(" (best F1)", each["best_f1"])] if each.get("best_f1") else []
        rows += [(run.name, f"{point['fppi']:.3g}{mark}", *_precision_cells(point)) for mark, point in points]
    if not rows:
        return None
    header = ("run", "FPPI", "score at least", "precision", "recall", "F1", "hits", "false", "missed")
    return Table(
        f"Precision, recall and F1 at operating points, {confidence_text(runs)} interval; {_rules(runs)}",
        header,
        tuple(rows),
        notes=(
            "Best F1: its score was chosen on these very images, so the figure is too good for new ones. "
            "Intervals hold the score fixed.",
        ),
    )


def roc_table(runs: Sequence[Run]) -> Table | None:
    """ROC AUC with its interval and sensitivity at stated specificities, per level."""
    entries = [(run, each) for run in runs for each in run.metrics.get("roc") or ()]
    if not entries:
        return None
    at = sorted(
        {
            point["specificity"]
            for _, each in entries
            for point in each.get("sensitivity_at_specificity") or ()
        }
    )
    rows = []
    for run, each in entries:
        points = {point["specificity"]: point for point in each.get("sensitivity_at_specificity") or ()}
        counts = (str(each["n_positive"]), str(each["n_negative"]))
        auc = interval_text(each.get("auc"), each, digits=3)
        cells = (sensitivity_text({"low": None, **points[one]} if one in points else None) for one in at)
        rows.append((run.name, each["level"], *counts, auc, *cells))
    classes = [each.replace("a lesion", "lesion") for each in positive_words(runs)]
    header = ("run", "level", *classes, "AUC", *(f"sensitivity at {one:g}" for one in at))
    scores = score_words(runs) if any(map(scores_images, runs)) else "the highest score of each unit"
    return Table(
        f"ROC by {scores}: AUC, and sensitivity at stated specificity, {confidence_text(runs)} interval",
        header,
        tuple(rows),
        notes=(
            "AUC's interval is DeLong's where every unit is of a patient of its own, else by resampling "
            "patients; exact at 0 and 1.",
        ),
    )


def jafroc_table(runs: Sequence[Run]) -> Table | None:
    """The JAFROC figure of merit with its interval; a dash where a run defines none."""
    found = [run.metrics.get("jafroc") for run in runs]
    if not any(found):
        return None
    rows = []
    for run, each in zip(runs, found, strict=True):
        one = each or {}
        merit = interval_text(one.get("figure_of_merit"), one, digits=3)
        counts = (figure_text(one.get(name), digits=0) for name in ("n_lesions", "n_normal_images"))
        rows.append((run.name, merit, str(one.get("variant") or UNDEFINED), *counts))
    return Table(
        "JAFROC figure of merit: how often a lesion scores above the highest false positive of an image, "
        f"{confidence_text(runs)} interval by resampling patients",
        ("run", "figure of merit", "variant", "lesions", "normal images"),
        tuple(rows),
        runs="rows",
        notes=("JAFROC1 takes the false positives of all images, JAFROC2 those of normal images alone.",),
    )


def calibration_table(runs: Sequence[Run]) -> Table | None:
    """How far scores are from the share of detections that hit; None where no run says."""
    found = [run.metrics.get("reliability") for run in runs]
    if not any(found):
        return None
    rows = []
    for run, each in zip(runs, found, strict=True):
        one = each or {}
        counts = [bin["n"] for bin in one.get("bins") or ()]
        errors = (figure_text(one.get(name), digits=3) for name in ("expected_calibration_error", "brier"))
        rows.append((run.name, *errors, str(sum(counts)) if counts else UNDEFINED))
    return Table(
        "Raw scores taken as probabilities of a hit",
        ("run", "expected calibration error", "Brier score", "detections"),
        tuple(rows),
        runs="rows",
    )


def interval_text(value: float | None, bounds: Json, *, digits: int = 2) -> str:
    """`0.912 (0.870–0.954)` with the `low` and `high` of `bounds`, marked if Wilson's; or a dash.

    >>> interval_text(0.5, {"low": 0.25, "high": 0.75}), interval_text(None, {}), interval_text(0.5, {})
    ('0.50 (0.25–0.75)', '–', '0.50')
    """
    if value is None or bounds.get("low") is None:
        return figure_text(value, digits=digits)
    mark = WILSON_MARK if bounds.get("interval") == "wilson" else ""
    return f"{value:.{digits}f} ({bounds['low']:.{digits}f}–{bounds['high']:.{digits}f}){mark}"


def _precision_cells(point: Json) -> tuple[str, ...]:
    counts = ("true_positives", "false_positives", "false_negatives")
    bounds = point.get("intervals") or {}
    return (
        figure_text(point.get("score"), digits=4),
        *(interval_text(point.get(name), bounds.get(name) or {}) for name in ("precision", "recall", "f1")),
        *(figure_text(point.get(name), digits=0) for name in counts),
    )


def _rules(runs: Sequence[Run]) -> str:
    return " / ".join(dict.fromkeys(level(run) for run in runs))
