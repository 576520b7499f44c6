"""One self-contained HTML page on scored runs: figures, pictures, provenance; nothing is fetched."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from mammo_monai import __version__
from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of, write_text_atomic
from mammo_monai.reports.audit.summary import audit_summary_section
from mammo_monai.reports.literature.points import DataKind, kind_of_runs
from mammo_monai.reports.page.figures import headline_section
from mammo_monai.reports.page.gallery import gallery_section
from mammo_monai.reports.page.parts import Part, contents_html, figure_parts, parts_html
from mammo_monai.reports.page.shell import INTENDED_USE, html_page, stylesheet
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.pictures.loading import ImageLoader, load_display_image
from mammo_monai.reports.pictures.overlays import MARK_COLOURS
from mammo_monai.reports.plots.style import RUN_COLOURS, RUN_COLOURS_DARK
from mammo_monai.reports.runs import Run, SourceFile, warnings_of, with_truth
from mammo_monai.reports.saliency.page import saliency_section
from mammo_monai.reports.tables.run_tables import level, models_table
from mammo_monai.reports.tables.table import Table
from mammo_monai.schema import Manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportOptions:
    """What the page says and shows beside the figures.

    Attributes:
        banner: one sentence in a coloured strip on top, such as "Phantom figures are not clinical figures."
        command: how the page was made, without folders.
        fppi: the operating point of headlines and galleries.
        per_gallery: most crops in one gallery; None shows all, as far as the page may hold them.
        has_published: whether published figures are listed, with their caveat.
        data_kind: of the images, for published points in plots. None takes that of the tables the runs
            reproduce, and shows no point where they do not say.
        saliency: a folder of `mammo-monai saliency`, whose cards follow the galleries; None leaves them out.
    """

    title: str = "Masses marked in mammograms"
    banner: str = ""
    command: str = ""
    fppi: float = 1.0
    per_gallery: int | None = None
    has_published: bool = False
    data_kind: DataKind | None = None
    saliency: Path | None = None


def write_report(
    path: Path,
    runs: Sequence[Run],
    *,
    manifest: Manifest | None = None,
    options: ReportOptions | None = None,
    load_image: ImageLoader = load_display_image,
) -> None:
    """Writes the page on one or more runs.

    Args:
        manifest: truth and image paths for the galleries; without it there are none. A run scored on another
            manifest gets none either, and the page says so.
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].

    Raises:
        ManifestError: no run, or metrics that speak of lesions or detections their files do not hold.
        OSError: the page cannot be written.
    """
    if not runs:
        raise ManifestError(
            "a report needs at least one run: name a metrics.json, or a folder that holds one."
        )
    options, runs = options or ReportOptions(), with_truth(runs, manifest)
    manifest_file = _source_of(manifest)
    parts = figure_parts(
        runs,
        fppi=options.fppi,
        has_published=options.has_published,
        kind=options.data_kind or kind_of_runs(runs),
    )
    images = gallery_section(
        runs,
        manifest,
        manifest_file.sha256 if manifest_file else None,
        load_image,
        fppi=options.fppi,
        per_gallery=options.per_gallery,
    )
    if manifest is not None:
        parts.append(Part("data", "Data", audit_summary_section(manifest)))
    parts.append(Part("images", "Images", images))
    if options.saliency is not None:
        parts.append(Part("saliency", "Saliency", saliency_section(options.saliency)))
    parts += [
        Part("provenance", "Provenance", _provenance(runs, manifest_file, options.command)),
    ]
    data_sets = {manifest_file.sha256: _data_name(manifest_file, manifest)} if manifest_file else {}
    headlines = headline_section(runs, fppi=options.fppi, data_sets=data_sets)
    body = "\n".join([_header(runs, options), headlines, contents_html(parts), parts_html(parts)])
    styles = (_colours(), *(stylesheet(f"{name}.css") for name in ("report", "gallery", "saliency")))
    page = html_page(options.title, f'<main class="report">\n{body}\n</main>', styles=styles)
    write_text_atomic(Path(path), page)
    logger.info("wrote %s", path)


def _source_of(manifest: Manifest | None) -> SourceFile | None:
    if manifest is None or manifest.path is None:
        return None
    return SourceFile(manifest.path.name, sha256_of(manifest.path))


def _data_name(file: SourceFile, manifest: Manifest | None) -> str:
    layout = manifest.about.get("layout") if manifest else None
    return f"{file.name} ({layout})" if layout else file.name


def _colours() -> str:
    """Colours of runs and marks as CSS variables, runs in both themes; marks lie on images, dark in both."""

    def numbered(colours: Sequence[str]) -> str:
        return "".join(f"--run-{n}:{colour};" for n, colour in enumerate(colours, start=1))

    marks = "".join(f"--{kind.replace(' ', '-')}:{colour};" for kind, colour in MARK_COLOURS.items())
    return (
        f":root{{{numbered(RUN_COLOURS)}{marks}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root{{{numbered(RUN_COLOURS_DARK)}}}}}\n"
    )


def _header(runs: Sequence[Run], options: ReportOptions) -> str:
    banners = [*([options.banner] if options.banner else []), *warnings_of(runs)]
    strips = "".join(f'<p class="banner" role="note">{escape(text)}</p>' for text in banners)
    rules = dict.fromkeys(str(run.metrics["rule"].get("text", "Not stated.")) for run in runs)
    phrases = " / ".join(dict.fromkeys(level(run) for run in runs))
    return f"""<header>
<h1>{escape(options.title)}</h1>
<p class="notice">{escape(INTENDED_USE)}</p>
{strips}
<details class="rule"><summary>Scored by this rule: {escape(phrases)}</summary>
{"".join(f"<p>{escape(text)}</p>" for text in rules)}</details>
</header>"""


def _provenance(runs: Sequence[Run], manifest_file: SourceFile | None, command: str) -> str:
    rows = [(run.name, file.name, file.sha256) for run in runs for file in run.files]
    for run in runs:
        if run.inputs.get("manifest_sha256"):
            split = run.inputs.get("split") or "all lists"
            rows.append((run.name, f"manifest as scored ({split})", run.inputs["manifest_sha256"]))
    if manifest_file:
        rows.append(("galleries", manifest_file.name, manifest_file.sha256))
    table = html_table(Table("Files this page was made from", ("for", "file", "SHA-256"), tuple(rows)))
    models = models_table(runs)
    table = html_table(models) + table if models else table
    made = f"<p>Made by mammo-monai {escape(__version__)}"
    made += f" with <code>{escape(command)}</code>.</p>" if command else ".</p>"
    return f'<footer><h2>Provenance</h2><div class="hashes">{table}</div>{made}</footer>'
