"""One self-contained HTML page on two detectors: difference, curves, lesions, images side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from mammo_monai import __version__
from mammo_monai.files import write_text_atomic
from mammo_monai.metrics import difference_curve, evaluate_detections, froc_curve, rule_phrase
from mammo_monai.reports.comparison.compared import Comparison, ImageChange, image_changes
from mammo_monai.reports.comparison.gallery import pictures_section
from mammo_monai.reports.comparison.plot import curve_fppi, difference_svg
from mammo_monai.reports.comparison.tables import (
    NO_AREAS,
    apart_table,
    area_table,
    change_table,
    difference_table,
    interval_text,
    lesion_table,
    p_phrase,
    signed,
)
from mammo_monai.reports.page.figures import basis_html, froc_section, headline_section, roc_figure
from mammo_monai.reports.page.shell import INTENDED_USE, html_page, main_of, stylesheet
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.pictures.loading import ImageLoader, load_display_image
from mammo_monai.reports.pictures.overlays import MARK_COLOURS
from mammo_monai.reports.plots import RUN_COLOURS, RUN_COLOURS_DARK
from mammo_monai.reports.runs import SYNTHETIC, Run
from mammo_monai.reports.tables.run_tables import level, scored_on
from mammo_monai.reports.tables.table import UNDEFINED, Table
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

_MANY_ROWS = 12  # a longer table is folded away
# Nothing is fetched and nothing is sent, whatever stands in a file.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
)


@dataclass(frozen=True)
class ComparisonPageOptions:
    """What the page says and shows beside the figures.

    Attributes:
        banner: one sentence in a coloured strip on top, such as "Phantom figures are not clinical figures."
        command: how the page was made, without folders.
        per_gallery: most images in one gallery.
    """

    banner: str = ""
    command: str = ""
    per_gallery: int = 8


def write_comparison(
    path: Path,
    comparison: Comparison,
    *,
    options: ComparisonPageOptions | None = None,
    load_image: ImageLoader = load_display_image,
) -> None:
    """Writes the page.

    Args:
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].

    Raises:
        OSError: the page cannot be written.
    """
    options = options or ComparisonPageOptions()
    runs, changes = _runs(comparison), image_changes(comparison)
    title = f"{comparison.second.name} against {comparison.first.name}"
    parts = [
        _header(title, comparison, options),
        _headlines(comparison, runs),
        *(
            [
                froc_section(runs, fppi=comparison.fppi),
                _difference_section(comparison),
                _lesion_section(comparison, changes),
                pictures_section(comparison, changes, load_image, per_gallery=options.per_gallery),
            ]
            if comparison.has_boxes
            else [_images_section(comparison, runs)]
        ),
        _provenance(comparison, options.command),
    ]
    styles = (_colours(), stylesheet("report.css"), stylesheet("comparison.css"))
    write_text_atomic(Path(path), html_page(title, main_of(parts), styles=styles, head=_POLICY))
    logger.info("wrote %s", path)


def _runs(comparison: Comparison) -> tuple[Run, Run]:
    """Both as a report shows a run, scored by the same rule with the same draws."""
    scored = {"split": comparison.split or None, "manifest_sha256": comparison.manifest.sha256}
    inputs = {"inputs": scored}
    first, second = (
        Run(
            side.name,
            evaluate_detections(comparison.records, list(side.detections.values()), rule=comparison.rule)
            | inputs,
        )
        for side in (comparison.first, comparison.second)
    )
    return first, second


def _colours() -> str:
    """Colours of both detectors and of marks as CSS variables; paper is light whatever the screen is."""
    light, dark = (
        "".join(f"--run-{n}:{colour};" for n, colour in enumerate(colours[:2], start=1))
        for colours in (RUN_COLOURS, RUN_COLOURS_DARK)
    )
    marks = "".join(f"--{kind.replace(' ', '-')}:{colour};" for kind, colour in MARK_COLOURS.items())
    return f":root{{{light}{marks}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def _header(title: str, comparison: Comparison, options: ComparisonPageOptions) -> str:
    texts = [each for each in (options.banner, SYNTHETIC if comparison.is_synthetic else "") if each]
    strip = "".join(f'<p class="banner" role="note">{escape(each)}</p>' for each in texts)
    text = escape(str(comparison.rule.describe()["text"]))
    phrase = escape(rule_phrase(comparison.rule.describe()))
    return f"""<header>
<h1>{escape(title)}</h1>
<p class="notice">{escape(INTENDED_USE)}</p>
{strip}
<details class="rule"><summary>Scored by this rule: {phrase}</summary><p>{text}</p></details>
</header>"""


def _headlines(comparison: Comparison, runs: Sequence[Run]) -> str:
    """Mean sensitivity of both, and the difference, which alone carries interval and p-value."""
    if not comparison.has_boxes:
        named = {comparison.manifest.sha256: comparison.manifest.name}
        return headline_section(runs, fppi=comparison.fppi, data_sets=named)
    mean, sides = comparison.differences[0], (comparison.first, comparison.second)
    values = (mean.first, mean.second)
    data = comparison.manifest.name + ("" if comparison.split else ", all lists")
    blocks = [
        f'<article class="headline" style="--own:var(--run-{number})"><h2>{escape(run.name)}</h2>'
        f'<p class="figure"><b>{value:.3f}</b></p><p>Mean sensitivity over 0.25, 0.5, 1, 2 and 4 FPPI, '
        f"{escape(level(run))}. {escape(scored_on(run))}.</p>{basis_html(data, side.told)}</article>"
        for number, (run, value, side) in enumerate(zip(runs, values, sides, strict=True), start=1)
    ]
    note = f" {escape(mean.note.capitalize())}." if mean.note else ""
    blocks.append(
        '<article class="headline difference"><h2>Difference</h2>'
        f'<p class="figure"><b>{signed(mean.difference)}</b> <span>'
        f"{100 * comparison.rule.confidence:g} % CI {interval_text(mean)}</span></p>"
        f"<p>Mean sensitivity of {escape(comparison.second.name)} − {escape(comparison.first.name)}, "
        f"{escape(p_phrase(mean))}, paired over {counted(comparison.pair.n_patients, 'patient')}.{note}</p>"
        "</article>"
    )
    return f'<section class="headlines" aria-label="Headline figures">{"".join(blocks)}</section>'


def _difference_section(comparison: Comparison) -> str:
    """The difference over FPPI as a curve in two shapes, of which the page shows one, and as a table."""
    rule = comparison.rule
    curve = difference_curve(comparison.pair, replace(rule, fppi=curve_fppi()))
    names = comparison.first.name, comparison.second.name
    summary = escape(f"Difference in sensitivity, {names[1]} minus {names[0]}, over FPPI.")
    plots = "".join(
        f'<div class="{shape}" role="img" aria-label="{summary}">'
        f"{difference_svg(curve, names, size=size)}</div>"
        for shape, size in (("wide", (840, 330)), ("narrow", (420, 340)))
    )
    notes = dict.fromkeys(each.note for each in comparison.differences if each.note)
    dashes = "".join(f"<p>{UNDEFINED}: {escape(note)}.</p>" for note in notes)
    return f"""<section>
<h2>Difference</h2>
<figure class="froc">{plots}
<figcaption>{escape(names[1])} − {escape(names[0])}, at {len(curve.fppi)} FPPIs.
Band: {100 * rule.confidence:g} % interval at each FPPI by itself.</figcaption></figure>
<div class="differences">{html_table(difference_table(comparison))}{_areas(comparison)}</div>
<div class="quiet"><p>Interval: percentiles over {rule.n_bootstrap} resamples of {comparison.pair.n_patients}
patients, the same for both; thresholds are found again in each. p: two-sided, both detectors swapped patient
by patient in {comparison.n_permutations} random ways, scores first put on the scale of false positives. The
mean is the figure to judge by; p-values are not corrected for their number. Interval and p ask different
things: where one says yes and the other no, report both.</p>
{dashes}{_early_ends(comparison)}</div>
</section>"""


def _images_section(comparison: Comparison, runs: Sequence[Run]) -> str:
    """What compares where one of the two marks no place: ROC curves and the areas under them."""
    areas = _areas(comparison) or f"<p>{escape(NO_AREAS.capitalize())}.</p>"
    return f"<section>\n<h2>Images, breasts, patients</h2>\n{roc_figure(runs)}\n{areas}\n</section>"


def _areas(comparison: Comparison) -> str:
    table = area_table(comparison)
    return html_table(table) if table else ""


def _early_ends(comparison: Comparison) -> str:
    """Says where a detector marks too little to reach the largest operating point."""
    sentences = []
    for side, matches in (
        (comparison.first, comparison.pair.first),
        (comparison.second, comparison.pair.second),
    ):
        curve = froc_curve(matches, count_double_hits=comparison.rule.count_double_hits)
        if curve.fppi[-1] < comparison.rule.fppi[-1]:
            sentences.append(
                f"<p>{escape(side.name)} makes {curve.fppi[-1]:.2g} false positives per image at most; "
                "beyond, its last sensitivity is carried on.</p>"
            )
    return "".join(sentences)


def _lesion_section(comparison: Comparison, changes: Sequence[ImageChange]) -> str:
    """Who found which lesion, and the images that differ."""
    scores = ", ".join(
        f"{escape(side.name)} "
        + (f"from score {side.marked.score:.4g}" if side.marked.score < float("inf") else "shows nothing")
        for side in (comparison.first, comparison.second)
    )
    apart, changed = apart_table(comparison), change_table(comparison, changes)
    return f"""<section class="lesions">
<h2>Lesions and images at {comparison.fppi:g} FPPI</h2>
<p class="quiet">Both at their own score for {comparison.fppi:g} FPPI: {scores}.</p>
{html_table(lesion_table(comparison))}
{_folding(apart, "lesions found by one alone")}
{_folding(changed, "images that differ")}
</section>"""


def _folding(table: Table, what: str) -> str:
    """A table, folded away where it is long; nothing where it is empty."""
    if not table.rows:
        return ""
    if len(table.rows) <= _MANY_ROWS:
        return html_table(table)
    return f"<details><summary>All {len(table.rows)} {what}</summary>{html_table(table)}</details>"


def _provenance(comparison: Comparison, command: str) -> str:
    files = (comparison.first.file, comparison.second.file, comparison.manifest)
    owners = (comparison.first.name, comparison.second.name, f"truth ({comparison.split or 'all lists'})")
    rows = tuple((owner, file.name, file.sha256) for owner, file in zip(owners, files, strict=True))
    table = html_table(Table("Files this page was made from", ("for", "file", "SHA-256"), rows))
    models = tuple((each.name, each.told) for each in (comparison.first, comparison.second))
    table = html_table(Table("What marked", ("detector", "model"), models)) + table
    made = f"<p>Made by mammo-monai {escape(__version__)}"
    made += f" with <code>{escape(command)}</code>" if command else ""
    made += f"; seed {comparison.rule.seed}.</p>"
    return f'<footer><h2>Provenance</h2><div class="hashes">{table}</div>{made}</footer>'
