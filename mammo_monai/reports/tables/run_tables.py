"""Tables of runs: what was scored, sensitivity at operating points and by size, figures on normal images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_monai.metrics.rule import rule_phrase
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.image_tables import image_counts, image_headline, marks_boxes
from mammo_monai.reports.tables.table import UNDEFINED, WILSON_MARK, Table, figure_text
from mammo_monai.words import counted

# Enough to read a curve from, where a row per point of the metrics would be too many.
SHOWN_FPPI = (0.25, 0.5, 1.0, 2.0, 4.0)
BAND_FPPI = 0.5  # what P0 and P3 print bands at
_SIZE_BANDS = {"<2cm": "< 2 cm", ">=2cm": "≥ 2 cm", "unknown": "unknown, no spacing"}
_AREA_BANDS = {"<1cm2": "< 1 cm²", "1-4cm2": "1–4 cm²", ">4cm2": "> 4 cm²", "unknown": "unknown, no spacing"}


def operating_point_table(runs: Sequence[Run]) -> Table:
    """Sensitivity with its interval at every operating point, one column per run."""
    every = sorted({point["fppi"] for run in runs for point in run.points})
    rows = tuple((f"{fppi:g}", *(sensitivity_text(run.point_at(fppi)) for run in runs)) for fppi in every)
    return Table(
        f"Lesion sensitivity at false positives per image, {confidence_text(runs)} interval",
        ("FPPI", *(run.name for run in runs)),
        rows,
        runs="columns",
    )


def summary_table(runs: Sequence[Run]) -> Table:
    """What was scored, and the figures that need no operating point."""
    counts = ("n_images", "n_normal_images", "n_patients", "n_lesions")
    rows = tuple(
        (
            run.name,
            *(_count(run.metrics, name) for name in counts),
            _count(run.metrics, "n_detections") if marks_boxes(run) else UNDEFINED,
            _value(run.metrics, "mean_sensitivity"),
            _value(run.metrics, "average_precision"),
        )
        for run in runs
    )
    return Table(
        "What was scored; mean sensitivity over 0.25, 0.5, 1, 2 and 4 FPPI; AP50, average precision at "
        "IoU > 0.5",
        ("run", "images", "normal", "patients", "lesions", "detections", "mean sensitivity", "AP50"),
        rows,
        runs="rows",
    )


def size_band_table(runs: Sequence[Run]) -> Table | None:
    """Sensitivity for small and large lesions at `BAND_FPPI`; None without lesions."""
    title = f"Lesion sensitivity at {BAND_FPPI:g} FPPI by the longest side of the box as annotated"
    return _band_table(runs, title, "size_bands", _SIZE_BANDS)


def area_band_table(runs: Sequence[Run]) -> Table | None:
    """Sensitivity by the area of the lesion at `BAND_FPPI`, in P3's bands; None where no run has any."""
    title = f"Lesion sensitivity at {BAND_FPPI:g} FPPI by area: of the contour, else the mask, else the box"
    return _band_table(runs, title, "area_bands", _AREA_BANDS)


def normal_image_table(runs: Sequence[Run]) -> Table | None:
    """False positives per normal image by score; None where no run holds a normal image."""
    found = [run.metrics.get("normal_images") or {} for run in runs]
    if not any(each.get("n_images") for each in found):
        return None
    scores = sorted({score for each in found for score in each.get("score", ())})
    rows = []
    for run, each in zip(runs, found, strict=True):
        values = dict(zip(each.get("score", ()), each.get("false_positives_per_image", ()), strict=True))
        rows.append((run.name, *(figure_text(values.get(score)) for score in scores)))
    header = ("run", *(f"≥ {score:g}" for score in scores))
    return Table("False positives per normal image, by score", header, tuple(rows), runs="rows")


def normal_points_table(runs: Sequence[Run]) -> Table | None:
    """False positives per normal image at the score of each operating point; None where no run has any.

    A run without lesions, and without operating points of other images, has none: its scores were chosen on
    the very false positives that would be counted.
    """
    points = [_normal_points(run) for run in runs]
    targets = sorted({point["fppi"] for each in points for point in each})
    if not targets:
        return None
    rows = []
    for run, each in zip(runs, points, strict=True):
        by_target = {point["fppi"]: point for point in each}
        rows.append((run.name, *(_normal_text(by_target.get(target)) for target in targets)))
    title = (
        f"False positives per normal image ({confidence_text(runs)} CI), by the FPPI a score was chosen for"
    )
    return Table(title, ("run", *(f"{target:g}" for target in targets)), tuple(rows), runs="rows")


def run_table(run: Run) -> Table:
    """The operating points of one run, with the score to be set for each."""
    rows = tuple(
        (
            f"{point['fppi']:g}",
            figure_text(point["sensitivity"]),
            f"{figure_text(point['low'])}–{figure_text(point['high'])}"
            if point["low"] is not None
            else UNDEFINED,
            figure_text(point.get("score"), digits=4),
        )
        for point in run.points
    )
    return Table(run.name, ("FPPI", "sensitivity", f"{confidence_text([run])} CI", "score at least"), rows)


def models_table(runs: Sequence[Run]) -> Table | None:
    """Which model, in which version, made the detections of each run; None where no file says it."""
    rows = tuple((run.name, run.told or UNDEFINED) for run in runs)
    return Table("What marked", ("run", "model"), rows) if any(run.told for run in runs) else None


def headline(run: Run, *, fppi: float = 1.0) -> str:
    """The sentence a figure needs: value, interval, level, rule, and on how many images."""
    if not marks_boxes(run):
        return f"{image_headline(run)}; {image_counts(run)}"
    point = run.point_at(fppi)
    if point is None or point["sensitivity"] is None:
        return f"sensitivity undefined; {scored_on(run)}"
    interval = ""
    if point["low"] is not None:
        interval = f" ({confidence_text([run])} CI {point['low']:.2f}–{point['high']:.2f})"
    return (
        f"sensitivity {point['sensitivity']:.2f}{interval} at {fppi:g} FPPI, {level(run)}; {scored_on(run)}"
    )


def level(run: Run) -> str:
    """What a figure counts, and when it counts a hit."""
    return rule_phrase(run.metrics["rule"])


def scored_on(run: Run) -> str:
    """The images behind a figure, by number and list."""
    metrics = run.metrics
    parts = [counted(metrics["n_images"], "image"), counted(metrics["n_lesions"], "lesion")]
    if metrics.get("n_normal_images") is not None:
        parts[0] += f" ({metrics['n_normal_images']} normal)"
    if metrics.get("n_patients") is not None:
        parts.append(counted(metrics["n_patients"], "patient"))
    if run.inputs.get("split"):
        parts.append(f"{run.inputs['split']} list")
    return ", ".join(parts)


def sensitivity_text(point: Mapping[str, Any] | None) -> str:
    """`0.91 (0.86–0.95)`, marked where the interval is Wilson's; a dash where undefined."""
    if point is None or point["sensitivity"] is None:
        return UNDEFINED
    if point.get("low") is None:
        return f"{point['sensitivity']:.2f}"
    mark = WILSON_MARK if point.get("interval") == "wilson" else ""
    return f"{point['sensitivity']:.2f} ({point['low']:.2f}–{point['high']:.2f}){mark}"


def false_positives_text(point: Mapping[str, Any]) -> str:
    """`0.52 (0.44–0.60)` false positives per image."""
    return f"{point['false_positives_per_image']:.2f} ({point['low']:.2f}–{point['high']:.2f})"


def confidence_text(runs: Sequence[Run]) -> str:
    """Of the runs' intervals, such as 95 %."""
    levels = {run.metrics["rule"].get("confidence", 0.95) for run in runs}
    return " / ".join(f"{100 * level:g} %" for level in sorted(levels))


def band_of(run: Run, kind: str, band: str) -> Mapping[str, Any] | None:
    """The entry of one band among the `size_bands` or `area_bands` of a run; None where it has none."""
    return next((row for row in run.metrics.get(kind) or () if row["band"] == band), None)


def band_text(row: Mapping[str, Any] | None, fppi: float) -> str:
    """`0.91 (0.86–0.95) of 70` at one operating point; a dash where there is no such lesion."""
    if row is None or not row["n_lesions"]:
        return UNDEFINED
    point = next((point for point in row["points"] if point["fppi"] == fppi), None)
    return f"{sensitivity_text(point)} of {row['n_lesions']}"


def _band_table(runs: Sequence[Run], title: str, kind: str, names: Mapping[str, str]) -> Table | None:
    filled = [
        band for band in names if any((band_of(run, kind, band) or {}).get("n_lesions") for run in runs)
    ]
    if set(filled) <= {"unknown"}:  # no lesion, or a row that repeats the sensitivity of all
        return None
    rows = tuple(
        (run.name, *(band_text(band_of(run, kind, band), BAND_FPPI) for band in filled)) for run in runs
    )
    return Table(title, ("run", *(names[band] for band in filled)), rows, runs="rows")


def _normal_points(run: Run) -> Sequence[Mapping[str, Any]]:
    if not (run.metrics.get("n_lesions") or run.inputs.get("operating_points_sha256")):
        return ()
    return (run.metrics.get("normal_images") or {}).get("points") or ()


def _normal_text(point: Mapping[str, Any] | None) -> str:
    return UNDEFINED if point is None else false_positives_text(point)


def _count(metrics: Mapping[str, Any], name: str) -> str:
    value = metrics.get(name)
    return UNDEFINED if value is None else str(value)


def _value(metrics: Mapping[str, Any], name: str) -> str:
    return figure_text((metrics.get(name) or {}).get("value"), digits=3)
