"""Every number of runs in one tidy CSV file, a row each, full digits: for other programs, not for reading."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from mammo_monai.files import write_text_atomic
from mammo_monai.metrics.rule import rule_phrase
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import Figure, fold_spread, has_folds, sensitivity_of, value_of
from mammo_monai.reports.tables.run_tables import level

COLUMNS = ("run", "fold", "quantity", "at", "value", "low", "high", "interval", "n", "rule", "model")
Json = Mapping[str, Any]
Number = float | int | None
_NUMBERS = re.compile(r"[-+.\de ]+")  # of what a figure is at, as text
_COUNTS = ("n_images", "n_normal_images", "n_patients", "n_lesions", "n_detections")


@dataclass(frozen=True)
class CsvRow:
    """One number.

    Attributes:
        fold: 1 … N, "pooled", or "mean" and "sd" over folds.
        quantity: what it is, such as `sensitivity` or `sensitivity size_band <2cm`.
        at: what it was measured at, as the quantity has it: FPPI, score, IoU, specificity; or several.
        interval: how `low` and `high` were made. n: what the quantity is a share of, or is counted over.
        model: what marked, in one line; "" where no file says it.
    """

    run: str
    fold: str
    quantity: str
    at: str
    value: Number
    low: Number = None
    high: Number = None
    interval: str | None = None
    n: int | None = None
    rule: str = ""
    model: str = ""


def write_csv(path: Path, runs: Sequence[Run]) -> None:
    """Writes `COLUMNS` and a row per number of each run: pooled, of each fold, and mean and SD over folds.

    Undefined is empty. Nothing is rounded.

    Raises:
        OSError: the file cannot be written.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in runs:
        for row in csv_rows(run):
            writer.writerow(csv_cell(cell) for cell in astuple(row))
    write_text_atomic(Path(path), stream.getvalue())


def csv_cell(value: object) -> object:
    """A value as a CSV cell; a text that a spreadsheet would run as a formula gets an apostrophe before it.

    Source: OWASP, CSV Injection.

    >>> csv_cell("=1+1"), csv_cell(-0.5), csv_cell(None)
    ("'=1+1", -0.5, '')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ")  # not quoted by the csv module, and the end of a row for its reader
    is_formula = text.lstrip().startswith(("=", "+", "-", "@")) and not _NUMBERS.fullmatch(text)
    return f"'{text}" if is_formula else text


def csv_rows(run: Run) -> Iterator[CsvRow]:
    """The numbers of a run, then of each of its folds, then their mean and SD (n − 1)."""
    yield from _numbers(run, "pooled")
    if not has_folds(run):
        return
    for number, fold in enumerate(run.folds, start=1):
        yield from (replace(row, run=run.name) for row in _numbers(fold, str(number)))
    for row in _numbers(run, "mean"):
        figure = _figure_of(row)
        spread = fold_spread(run, figure) if figure else None
        if spread is not None:
            mean = replace(row, value=spread.mean, low=None, high=None, interval=None, n=spread.n)
            yield mean
            yield replace(mean, fold="sd", value=spread.sd)


def _figure_of(row: CsvRow) -> Figure | None:
    """Of the quantities that have a mean over folds; None for the others."""
    if row.quantity == "sensitivity":
        return sensitivity_of(float(row.at))
    return value_of(row.quantity) if row.quantity in ("mean_sensitivity", "average_precision") else None


def _numbers(run: Run, fold: str) -> Iterator[CsvRow]:
    for part in _PARTS:
        for row in part(run.metrics):
            yield replace(row, run=run.name, fold=fold, rule=row.rule or level(run), model=run.told)


def _row(
    quantity: str,
    at: str,
    value: Number,
    bounds: Json | None = None,
    *,
    n: int | None = None,
    rule: str = "",
) -> CsvRow:
    """A row whose run, and rule if not given, are filled in later; `bounds` may hold low, high, interval."""
    bounds = bounds or {}
    low, high, interval = (bounds.get(name) for name in ("low", "high", "interval"))
    return CsvRow("", "", quantity, at, value, low, high, interval, n, rule)


def _at(*values: float | None) -> str:
    """Full digits, joined by spaces."""
    return " ".join("" if value is None else repr(value) for value in values)


def _sensitivities(quantity: str, points: Sequence[Json], n: int | None, rule: str = "") -> Iterator[CsvRow]:
    for point in points:
        yield _row(quantity, _at(point["fppi"]), point["sensitivity"], point, n=n, rule=rule)


def _froc(metrics: Json) -> Iterator[CsvRow]:
    for name in _COUNTS:
        if metrics.get(name) is not None:
            yield _row(name, "", metrics[name])
    if metrics.get("no_boxes"):
        return
    froc, n = metrics["froc"], metrics["n_lesions"]
    yield from _sensitivities("sensitivity", froc["points"], n)
    for point in froc["points"]:
        if "score" in point:
            yield _row("score", _at(point["fppi"]), point["score"])
    for fppi, sensitivity in zip(froc["fppi"], froc["sensitivity"], strict=True):
        yield _row("froc_curve", _at(fppi), sensitivity, n=n)
    mean = metrics.get("mean_sensitivity")
    if mean:
        yield _row("mean_sensitivity", _at(*mean.get("fppi") or ()), mean.get("value"), n=n)


def _units(metrics: Json) -> Iterator[CsvRow]:
    """Other levels, and bands of lesions."""
    for each in metrics.get("levels") or ():
        rule = rule_phrase({**metrics["rule"], "level": each["level"]})
        yield from _sensitivities(f"{each['level']}_sensitivity", each["points"], each["n"], rule)
    for kind in ("size_bands", "area_bands"):
        for each in metrics.get(kind) or ():
            quantity = f"sensitivity {kind.removesuffix('s')} {each['band']}"
            yield from _sensitivities(quantity, each["points"], each["n_lesions"])
    for each in metrics.get("subgroups") or ():
        quantity = f"sensitivity {each['by']} {each['group']}"
        yield from _sensitivities(quantity, each["points"], each["n_lesions"])


def _overlap(metrics: Json) -> Iterator[CsvRow]:
    """Sensitivity by FPPI and least IoU."""
    found, n_lesions = metrics.get("overlap") or {}, metrics["n_lesions"]
    for n, fppi in enumerate(found.get("fppi") or ()):
        for m, min_iou in enumerate(found["min_iou"]):
            bounds = {name: found[name][n][m] for name in ("low", "high") if found.get(name)}
            rule = rule_phrase({**metrics["rule"], "hit": "iou", "max_distance_mm": None, "min_iou": min_iou})
            value = found["sensitivity"][n][m]
            yield _row("sensitivity_at_min_iou", _at(fppi, min_iou), value, bounds, n=n_lesions, rule=rule)


def _average_precision(metrics: Json) -> Iterator[CsvRow]:
    """By its own limits of IoU, not the rule's."""
    average, n = metrics.get("average_precision") or {}, metrics["n_lesions"]
    if average:
        min_iou = average.get("min_iou")
        yield _row("average_precision", _at(min_iou), average.get("value"), n=n, rule=f"IoU > {min_iou}")
    coco = average.get("coco") or {}
    for name, rule in {"ap": "IoU .50 to .95", "ap50": "IoU .50", "ap75": "IoU .75"}.items():
        if name in coco:
            yield _row(f"coco_{name}", "", coco[name], n=n, rule=rule)
    for min_iou, value in zip(coco.get("min_iou") or (), coco.get("values") or (), strict=True):
        yield _row("coco_average_precision", _at(min_iou), value, n=n, rule=f"IoU {min_iou}")


def _precision(metrics: Json) -> Iterator[CsvRow]:
    """At the operating points, whose scores stand with the sensitivities, and at the best F1."""
    found = metrics.get("precision_recall") or {}
    named = [("", point) for point in found.get("points") or ()]
    named += [("best_f1 ", found["best_f1"])] if found.get("best_f1") else []
    for prefix, point in named:
        at, intervals = _at(point["fppi"]), point.get("intervals") or {}
        for name in ("precision", "recall", "f1"):
            yield _row(f"{prefix}{name}", at, point.get(name), intervals.get(name))
        counts = ("true_positives", "false_positives", "false_negatives")
        for name in (*(("score",) if prefix else ()), *counts):
            yield _row(f"{prefix}{name}", at, point.get(name))


def _normals(metrics: Json) -> Iterator[CsvRow]:
    found, quantity = metrics.get("normal_images") or {}, "false_positives_per_normal_image"
    n = found.get("n_images")
    values = found.get("false_positives_per_image") or ()
    for score, value in zip(found.get("score") or (), values, strict=True):
        yield _row(quantity, _at(score), value, n=n)
    for point in found.get("points") or ():
        at = _at(point["fppi"])
        yield _row(f"{quantity} at_fppi", at, point["false_positives_per_image"], point, n=n)
        yield _row("score on normal images", at, point.get("score"))
    curve = found.get("curve") or {}
    for m, score in enumerate(curve.get("score") or ()):
        bounds = {name: curve[name][m] for name in ("low", "high", "interval") if curve.get(name)}
        yield _row(f"{quantity} curve", _at(score), curve["false_positives_per_image"][m], bounds, n=n)


def _roc(metrics: Json) -> Iterator[CsvRow]:
    own = (metrics.get("units") or {}).get("score") == "image_score"
    rule = "score of an image, mean over views and breasts" if own else "highest score of a unit"
    for each in metrics.get("roc") or ():
        name, n = each["level"], each["n_positive"] + each["n_negative"]
        yield _row(f"{name}_roc_auc", "", each.get("auc"), each, n=n, rule=rule)
        for point in each.get("sensitivity_at_specificity") or ():
            at, quantity = _at(point["specificity"]), f"{name}_sensitivity_at_specificity"
            yield _row(quantity, at, point["sensitivity"], point, n=each["n_positive"], rule=rule)
            yield _row(f"{name}_score_at_specificity", at, point.get("score"), rule=rule)
        for false, true in zip(each.get("fpr") or (), each.get("tpr") or (), strict=True):
            yield _row(f"{name}_roc_curve", _at(false), true, n=n, rule=rule)


def _image_figures(metrics: Json) -> Iterator[CsvRow]:
    """Figures of images, breasts and patients at a threshold, and at Youden's on the same images."""
    for each in (metrics.get("units") or {}).get("figures") or ():
        for prefix, found in (("", each), ("youden ", each.get("youden") or {})):
            for name in ("accuracy", "sensitivity", "specificity", "precision", "f1"):
                if name in found:
                    bounds = (found.get("intervals") or {}).get(name)
                    n = each["n_positive"] + each["n_negative"]
                    quantity = f"{prefix}{each['level']}_{name}_at_score"
                    yield _row(
                        quantity, _at(found["threshold"]), found[name], bounds, n=n, rule="whole images"
                    )


def _scores(metrics: Json) -> Iterator[CsvRow]:
    """JAFROC, and how well raw scores hold as probabilities."""
    jafroc = metrics.get("jafroc") or {}
    if jafroc:
        at = str(jafroc.get("variant") or "")
        yield _row("jafroc", at, jafroc.get("figure_of_merit"), jafroc, n=jafroc.get("n_lesions"))
    found = metrics.get("reliability") or {}
    for name in ("expected_calibration_error", "brier"):
        if name in found:
            yield _row(name, "", found[name])
    for each in found.get("bins") or ():
        yield _row("hit_rate", _at(each["mean_score"]), each["hit_rate"], n=each["n"])


_PARTS: tuple[Callable[[Json], Iterator[CsvRow]], ...] = (
    _froc,
    _units,
    _overlap,
    _average_precision,
    _precision,
    _normals,
    _roc,
    _image_figures,
    _scores,
)
