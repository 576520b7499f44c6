"""The plots of a PDF report, each with its caption; only those that have something to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.reports.literature.points import (
    DataKind,
    LiteraturePoint,
    bands_literature,
    froc_literature,
    normals_literature,
)
from mammo_monai.reports.literature.published import OTHERS_RULES
from mammo_monai.reports.plots.bands import band_rows, save_bands_plot
from mammo_monai.reports.plots.folds import fold_band
from mammo_monai.reports.plots.froc import save_fold_froc_plot, save_froc_plot
from mammo_monai.reports.plots.literature_marks import letters
from mammo_monai.reports.plots.normals import normals_curve, save_normals_plot
from mammo_monai.reports.plots.overlap import overlap_fppi, save_overlap_plot
from mammo_monai.reports.plots.reliability import reliability_of, save_reliability_plot
from mammo_monai.reports.plots.roc import roc_levels, save_roc_plot
from mammo_monai.reports.plots.subgroups import save_subgroups_plot, subgroup_rows
from mammo_monai.reports.plots.training import has_history, save_training_plot
from mammo_monai.reports.runs import Run
from mammo_monai.reports.subgroups import SUBGROUP_FPPI
from mammo_monai.reports.tables.image_tables import against_words, marks_boxes, score_words
from mammo_monai.reports.tables.run_tables import BAND_FPPI


@dataclass(frozen=True)
class PdfPlot:
    """A plot and what stands under it.

    Attributes:
        save: writes the plot to a path that ends in .png.
        share: of the line's width that it takes.
    """

    caption: str
    save: Callable[[Path], None]
    share: float = 1.0


def report_plots(runs: Sequence[Run], *, kind: DataKind | None = None) -> list[PdfPlot]:
    """The plots that the runs have figures for, FROC first.

    Args:
        kind: of the images, for published points; None shows none.
    """
    return [*_froc_plots(runs, kind), *_lesion_plots(runs, kind), *_score_plots(runs, kind)]


def _froc_plots(runs: Sequence[Run], kind: DataKind | None) -> list[PdfPlot]:
    if not any(map(marks_boxes, runs)):
        return []
    points = froc_literature(kind) if any(run.metrics["n_lesions"] for run in runs) else ()
    plots = [
        PdfPlot(
            "FROC curves: steps as measured; points and bands show the operating points with their "
            "intervals. A thin line carries the last measured value on where no more false positives were "
            "made.",
            lambda path: save_froc_plot(path, runs, size_in=(8.6, 4.9)),
        )
    ]
    if points:
        plots.append(
            PdfPlot(
                f"The same curves beside published operating points. {_letters(points)}. {OTHERS_RULES}",
                lambda path: save_froc_plot(path, runs, size_in=(8.6, 5.2), literature=points),
            )
        )
    bands = [band for run in runs if (band := fold_band(run))]
    if bands:
        texts = "; ".join(dict.fromkeys(band.band_text for band in bands))
        plots.append(
            PdfPlot(
                f"Mean of the folds' own FROC curves, each fold counting once. {texts}.",
                lambda path: save_fold_froc_plot(path, runs),
            )
        )
    return plots


def _lesion_plots(runs: Sequence[Run], kind: DataKind | None) -> list[PdfPlot]:
    """Sensitivity by overlap and by size of the lesion."""
    plots = []
    if overlap_fppi(runs):
        plots.append(
            PdfPlot(
                "Sensitivity by the overlap that a hit asks for, at fixed false positives per image, with "
                "intervals. Dashed: the minimum IoU of all other figures.",
                lambda path: save_overlap_plot(path, runs),
            )
        )
    if band_rows(runs):
        plots.append(
            PdfPlot(
                f"Sensitivity at {BAND_FPPI:g} FPPI by size and area of the lesion, with intervals."
                f"{_grey(kind)}",
                lambda path: save_bands_plot(path, runs, literature=bands_literature(kind)),
                share=0.8,
            )
        )
    if subgroup_rows(runs):
        plots.append(
            PdfPlot(
                f"Sensitivity by subgroup with intervals, all at the score of {SUBGROUP_FPPI:g} FPPI over "
                "all images.",
                lambda path: save_subgroups_plot(path, runs),
                share=0.8,
            )
        )
    return plots


def _score_plots(runs: Sequence[Run], kind: DataKind | None) -> list[PdfPlot]:
    """Normal images, ROC, reliability, training."""
    plots = []
    if any(normals_curve(run) for run in runs):
        plots.append(
            PdfPlot(
                "False positives per image without lesions, by the score from which boxes are shown, with "
                f"intervals. The axis is linear below 0.1, logarithmic above.{_grey(kind)}",
                lambda path: save_normals_plot(path, runs, literature=normals_literature(kind)),
                share=0.8,
            )
        )
    if roc_levels(runs):
        plots.append(
            PdfPlot(
                f"ROC curves by {score_words(runs)}: {against_words(runs)}. Dashed: chance.",
                lambda path: save_roc_plot(path, runs),
                share=1.0 if len(roc_levels(runs)) > 1 else 0.56,
            )
        )
    if any(reliability_of(run) for run in runs):
        plots.append(
            PdfPlot(
                "Reliability of the raw scores: the share of detections that hit a lesion, at their mean "
                "score, with Wilson's 95 % intervals over detections. On the dashed line a score is a "
                "probability. ECE: expected calibration error.",
                lambda path: save_reliability_plot(path, runs),
                share=0.62,
            )
        )
    if has_history(runs):
        plots.append(
            PdfPlot(
                "Trainings by epoch, a line per fold. Loss: mean over the epoch's batches. Validation "
                "figure: what the training validates by, on the list it validates on.",
                lambda path: save_training_plot(path, runs),
            )
        )
    return plots


def _letters(points: Sequence[LiteraturePoint]) -> str:
    """`a RetinaNet, two-stage transfer (P0, Table II); b …`."""
    first = {point.label: point for point in reversed(points)}
    named = letters(points).items()
    origins = {
        label: "; ".join(part for part in (point.source, point.caveat) if part)
        for label, point in first.items()
    }
    return "; ".join(f"{letter} {label} ({origins[label]})" for label, letter in named)


def _grey(kind: DataKind | None) -> str:
    return " Grey: published, measured on other images." if kind else ""
