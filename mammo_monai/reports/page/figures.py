"""The figures of a report page, by topic: headlines, FROC, overlap, sizes, normal images, ROC, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mammo_monai.reports.literature.points import (
    DataKind,
    bands_literature,
    froc_literature,
    normals_literature,
)
from mammo_monai.reports.page.plots import NARROW, key_of, literature_key, plot_figure, several_key
from mammo_monai.reports.page.tables import own_colour
from mammo_monai.reports.plots.bands import bands_height_in, bands_svg
from mammo_monai.reports.plots.folds import fold_band
from mammo_monai.reports.plots.froc import fold_froc_svg, froc_svg
from mammo_monai.reports.plots.normals import normals_svg
from mammo_monai.reports.plots.overlap import overlap_fppi, overlap_svg
from mammo_monai.reports.plots.reliability import reliability_svg
from mammo_monai.reports.plots.roc import auc_text, roc_levels, roc_of, roc_svg
from mammo_monai.reports.plots.subgroups import subgroups_height_in, subgroups_svg
from mammo_monai.reports.plots.training import training_svg
from mammo_monai.reports.runs import Run
from mammo_monai.reports.subgroups import SUBGROUP_FPPI
from mammo_monai.reports.tables.image_tables import (
    against_words,
    auc_of,
    image_counts,
    image_headline,
    marks_boxes,
    score_words,
)
from mammo_monai.reports.tables.run_tables import BAND_FPPI, headline, level, scored_on, sensitivity_text
from mammo_monai.reports.tables.table import UNDEFINED, WILSON_MARK


def headline_section(runs: Sequence[Run], *, fppi: float, data_sets: Mapping[str, str] | None = None) -> str:
    """One block per run: the sensitivity at one operating point, large, with all that belongs to it.

    Args:
        data_sets: name of a manifest by its SHA-256; one that is not there is told by its hash.
    """
    blocks = []
    for number, run in enumerate(runs):
        if not marks_boxes(run):
            blocks.append(_image_headline(run, number, data_sets or {}))
            continue
        value, _, interval = sensitivity_text(run.point_at(fppi)).partition(" ")
        confidence = f"{100 * run.metrics['rule'].get('confidence', 0.95):g} % CI "
        interval = confidence + interval.strip("()" + WILSON_MARK) if interval else ""
        if value == UNDEFINED:
            is_listed = run.point_at(fppi) is not None or not run.metrics["n_lesions"]
            interval = "undefined: no lesion to find" if is_listed else "no such operating point in this run"
        blocks.append(
            f'<article class="headline" style="{own_colour(number)}"><h2>{escape(run.name)}</h2>'
            f'<p class="figure"><b>{escape(value)}</b> <span>{escape(interval)}</span></p>'
            f"<p>Sensitivity at {fppi:g} FPPI, {escape(level(run))}. {escape(scored_on(run))}.</p>"
            f"{basis_html(_data_of(run, data_sets or {}), run.told)}</article>"
        )
    return f'<section class="headlines" aria-label="Headline figures">{"".join(blocks)}</section>'


def basis_html(data: str, model: str) -> str:
    """The data set and the model behind a figure, as far as files tell them; "" where none does."""
    told = " ".join(f"{name}: {text}." for name, text in (("Data", data), ("Model", model)) if text)
    return f'<p class="basis">{escape(told)}</p>' if told else ""


def _data_of(run: Run, data_sets: Mapping[str, str]) -> str:
    """`manifest.json (its layout), all lists`; a single list stands among the counts."""
    sha256 = str(run.inputs.get("manifest_sha256") or "")
    if not sha256:
        return ""
    name = data_sets.get(sha256, f"manifest {sha256[:12]}")
    return name if run.inputs.get("split", "unknown") else f"{name}, all lists"


def _image_headline(run: Run, number: int, data_sets: Mapping[str, str]) -> str:
    """The block of a model that scores whole images: its area under the ROC curve per image."""
    text, _, interval = image_headline(run).partition(" (")
    value = text.removeprefix("AUC ").removesuffix(" per image") if auc_of(run) else UNDEFINED
    bounds, what = interval.partition(")")[0], "Area under the ROC curve per image"
    return (
        f'<article class="headline" style="{own_colour(number)}"><h2>{escape(run.name)}</h2>'
        f'<p class="figure"><b>{escape(value)}</b> <span>{escape(bounds)}</span></p>'
        f"<p>{what}. {escape(image_counts(run))}.</p>"
        f"{basis_html(_data_of(run, data_sets), run.told)}</article>"
    )


def froc_section(runs: Sequence[Run], *, fppi: float, name: str = "froc") -> str:
    """The FROC plot as a section of its own; `name` is its own on a page with several."""
    return f"<section>\n<h2>FROC</h2>\n{froc_figure(runs, fppi=fppi, name=name)}\n</section>"


def froc_figure(runs: Sequence[Run], *, fppi: float, name: str = "froc") -> str:
    """The FROC curves with their operating points."""
    return plot_figure(
        name,
        lambda size, salt: froc_svg(runs, size_in=size, salt=salt),
        label="FROC curves. " + " ".join(f"{run.name}: {headline(run, fppi=fppi)}." for run in runs),
        caption="FROC curves: steps as measured; points and bands show the operating points with their "
        "intervals. A thin line carries the last measured value on where no more false positives were made.",
        key=key_of(runs),
    )


def fold_figure(runs: Sequence[Run]) -> str:
    """The mean FROC curve over folds; "" where no run has two folds with lesions."""
    bands = [(run, band) for run in runs if (band := fold_band(run))]
    texts = dict.fromkeys(band.band_text for _, band in bands)
    thin = " Thin lines: the folds." if len(bands) == 1 else ""
    return plot_figure(
        "folds",
        lambda size, salt: fold_froc_svg(runs, size_in=size, salt=salt),
        label="Mean FROC curves over folds: " + ", ".join(run.name for run, _ in bands),
        caption=f"Mean of the folds' own FROC curves, each fold counting once.{thin} "
        f"{escape('; '.join(texts))}.",
        key=several_key(runs),
    )


def literature_figure(runs: Sequence[Run], kind: DataKind | None) -> str:
    """The upper part of the FROC plot with published points of one kind of images; "" where there is none."""
    points = froc_literature(kind)
    if not points or not any(run.metrics["n_lesions"] for run in runs):
        return ""
    return plot_figure(
        "published",
        lambda size, salt: froc_svg(runs, size_in=size, salt=salt, literature=points),
        label="FROC curves beside published operating points",
        caption="The same curves beside published operating points, as context and not as a ranking: other "
        "splits, other matching rules, other counts of lesions. Grey bars: ± SD over folds where one was "
        "printed. The axis begins where there is something to see.",
        key=several_key(runs) + literature_key(points),
        sizes=((9.8, 5.2), (4.4, 5.0)),
    )


def overlap_figure(runs: Sequence[Run]) -> str:
    """Sensitivity by minimum IoU; "" where no run has it."""
    n = len(overlap_fppi(runs))
    return plot_figure(
        "overlap",
        lambda size, salt: overlap_svg(runs, size_in=size, salt=salt),
        label=f"Sensitivity against the minimum IoU of a hit, for {', '.join(run.name for run in runs)}",
        caption="Sensitivity by the overlap that a hit asks for, at fixed false positives per image, with "
        "intervals. Dashed: the minimum IoU of all other figures.",
        key=several_key(runs),
        sizes=((9.8, 3.7), (4.4, 0.6 + 2.7 * max(n, 2))),
    )


def bands_figure(runs: Sequence[Run], kind: DataKind | None = None) -> str:
    """Sensitivity by size and area of the lesions; "" where no run has a band."""
    height, published = bands_height_in(runs), bands_literature(kind)
    grey = " Grey: published, measured on other images." if published else ""
    return plot_figure(
        "bands",
        lambda size, salt: bands_svg(runs, size_in=size, salt=salt, literature=published),
        label=f"Sensitivity by size of the lesion, for {', '.join(run.name for run in runs)}",
        caption=f"Sensitivity at {BAND_FPPI:g} FPPI by size and area of the lesion, with intervals.{grey}",
        key=several_key(runs),
        sizes=((5.6, height), (4.4, height)),
    )


def subgroups_figure(runs: Sequence[Run]) -> str:
    """Sensitivity by view, side, density and what is known of each lesion; "" where no run has a subgroup."""
    height = subgroups_height_in(runs)
    return plot_figure(
        "subgroups",
        lambda size, salt: subgroups_svg(runs, size_in=size, salt=salt),
        label=f"Sensitivity by subgroup, for {', '.join(run.name for run in runs)}",
        caption=f"Sensitivity by subgroup with intervals, all at the score of {SUBGROUP_FPPI:g} FPPI over "
        "all images.",
        key=several_key(runs),
        sizes=((9.8, height), (4.4, height)),
    )


def normals_figure(runs: Sequence[Run], kind: DataKind | None = None) -> str:
    """False positives per normal image by score; "" where no run holds a normal image."""
    published = normals_literature(kind)
    grey = " Grey: published, with scores of another model." if published else ""
    return plot_figure(
        "normals",
        lambda size, salt: normals_svg(runs, size_in=size, salt=salt, literature=published),
        label=f"False positives per normal image by score, for {', '.join(run.name for run in runs)}",
        caption="False positives per image without lesions, by the score from which boxes are shown, with "
        f"intervals. The axis is linear below 0.1, logarithmic above.{grey}",
        key=several_key(runs),
        sizes=((5.6, 4.4), NARROW),
    )


def roc_figure(runs: Sequence[Run]) -> str:
    """ROC curves by level; "" where no run has any."""
    levels = roc_levels(runs)
    found = [(run, each, curve) for each in levels for run in runs if (curve := roc_of(run, each))]
    areas = "; ".join(f"{run.name}, per {each}: AUC {auc_text(curve)}" for run, each, curve in found)
    return plot_figure(
        "roc",
        lambda size, salt: roc_svg(runs, size_in=size, salt=salt),
        label=f"ROC curves. {areas}",
        caption=f"ROC curves by {score_words(runs)}: {against_words(runs)}, with the "
        "area under the curve (AUC) and its interval. Dashed: chance.",
        key=several_key(runs),
        sizes=((9.8 if len(levels) > 1 else 5.6, 4.1), (4.4, 0.4 + 4.0 * max(len(levels), 1))),
    )


def reliability_figure(runs: Sequence[Run]) -> str:
    """Reliability of raw scores; "" where no run has it."""
    return plot_figure(
        "reliability",
        lambda size, salt: reliability_svg(runs, size_in=size, salt=salt),
        label=f"Reliability of scores, for {', '.join(run.name for run in runs)}",
        caption="Reliability of the raw scores: the share of detections that hit a lesion, at their mean "
        "score, with Wilson's 95 % intervals over detections, above the number of detections. On the dashed "
        "line a score is a probability. ECE: expected calibration error.",
        key=several_key(runs),
        sizes=((5.2, 5.4), (4.4, 4.8)),
    )


def training_figure(runs: Sequence[Run]) -> str:
    """Loss and validation figure by epoch; "" where no run brings a history."""
    return plot_figure(
        "training",
        lambda size, salt: training_svg(runs, size_in=size, salt=salt),
        label=f"Training by epoch, for {', '.join(run.name for run in runs)}",
        caption="Trainings by epoch, a line per fold. Loss: mean over the epoch's batches. Validation "
        "figure: what the training validates by, on the list it validates on.",
        key=several_key(runs),
        sizes=((5.2, 5.4), (4.4, 5.6)),
    )
