"""audit.html: whether a data set can be used, what it holds, and every finding with the odd images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from mammo_monai import __version__
from mammo_monai.files import write_text_atomic
from mammo_monai.reports.audit.counts import counts_of, list_table, published_table
from mammo_monai.reports.audit.findings import (
    CodeGroup,
    Rendering,
    findings_section,
    sorted_groups,
)
from mammo_monai.reports.audit.pictures import films_of
from mammo_monai.reports.audit.withheld import Withholding
from mammo_monai.reports.films.film import kind_of, kind_variables, legend_html
from mammo_monai.reports.films.shown import images_by_id, images_found
from mammo_monai.reports.page.shell import INTENDED_USE, PHANTOMS, html_page, main_of, stylesheet
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.thumbnails import load_any_image
from mammo_monai.schema import Action, Finding, Manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

# Nothing is fetched and nothing is sent, whatever stands in a data set.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
)


@dataclass(frozen=True)
class AuditPageOptions:
    """What the page says and shows beside the findings.

    Attributes:
        meanings: of the codes, in words, by code; a code without one is told by its first finding.
        command: how the manifest was made, without folders.
        is_refused: no manifest was written, by an error.
        max_rows, max_pictures: shown of one code; audit.csv holds all rows.
        workers: processes that read images.
    """

    title: str = "Audit of a data set"
    meanings: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    is_refused: bool = False
    max_rows: int = 200
    max_pictures: int = 8
    workers: int = 1


def write_audit_page(
    path: Path,
    manifest: Manifest,
    findings: Sequence[Finding],
    *,
    options: AuditPageOptions | None = None,
    load_image: ImageLoader = load_any_image,
) -> None:
    """Writes the page: verdict, counts against the published ones, findings by code with their images.

    No path, file name or patient stands in it: record ids identify images, and names that found their way
    into a finding's words are withheld.

    Args:
        path: audit.html beside the manifest.
        manifest: as it was or would have been written; it may hold no image at all.
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].

    Raises:
        OSError: the page cannot be written.
    """
    options = options or AuditPageOptions()
    images = images_by_id(manifest)
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    groups = sorted_groups(
        [CodeGroup(code, tuple(each), tuple(images_found(each, images))) for code, each in by_code.items()]
    )
    odd = [image for group in groups for image in group.images[: options.max_pictures]]
    films = films_of(odd, workers=options.workers, load_image=load_image)
    rendering = Rendering(
        films, options.meanings, images, Withholding.of(manifest), options.max_rows, options.max_pictures
    )
    shown_kinds = {kind_of(lesion) for image in odd if image.record for lesion in image.record.lesions}
    body = main_of(
        [
            _header(manifest, findings, options),
            _counts_section(manifest),
            legend_html(sorted(shown_kinds)) if odd else "",
            findings_section(groups, rendering),
            _footer(manifest, options),
        ]
    )
    styles = (kind_variables(), stylesheet("film.css"), stylesheet("audit.css"))
    page = html_page(options.title, body, styles=styles, scripts=(stylesheet("audit.js"),), head=_POLICY)
    write_text_atomic(Path(path), page)
    logger.debug("wrote %s", path)


def verdict(manifest: Manifest, findings: Sequence[Finding], *, is_refused: bool = False) -> tuple[str, str]:
    """`clean`, `warnings` or `unusable`, and a sentence that says so.

    >>> verdict(Manifest(), ())
    ('unusable', 'Unusable: no image could be read.')
    """
    n_images, n_left_out = len(manifest.images()), len(manifest.quarantined)
    actions = [finding.action for finding in findings]
    if is_refused:
        faults = actions.count(Action.QUARANTINED)
        why = f" {counted(faults, 'image')} had a fault." if faults else ""
        return "unusable", f"Refused: no manifest was written; the command's error says why.{why}"
    if not n_images:
        why = f" {counted(n_left_out, 'image')} had to be left out." if n_left_out else ""
        return "unusable", f"Unusable: no image could be read.{why}"
    repaired = actions.count(Action.REPAIRED)
    if repaired == len(findings) and not n_left_out:
        done = f"{counted(repaired, 'finding')} put right on reading" if repaired else "nothing to report"
        return "clean", f"Clean: {counted(n_images, 'image')}, {done}."
    parts = []
    if n_left_out:
        parts.append(f"{counted(n_left_out, 'image')} left out")
    if warned := actions.count(Action.WARNED):
        parts.append(f"{counted(warned, 'warning')} to look at")
    if repaired:
        parts.append(f"{repaired} put right on reading")
    return "warnings", f"Usable, with warnings: {counted(n_images, 'image')}; {', '.join(parts)}."


def _header(manifest: Manifest, findings: Sequence[Finding], options: AuditPageOptions) -> str:
    level, sentence = verdict(manifest, findings, is_refused=options.is_refused)
    headline, _, rest = sentence.partition(": ")
    return f"""<header>
<h1>{escape(options.title)}</h1>
<p class="verdict {level}" role="status"><b>{escape(headline)}</b> <span>{escape(_sentence(rest))}</span></p>
<p class="notice">{escape(INTENDED_USE)}</p>
{f'<p class="banner" role="note">{escape(PHANTOMS)}</p>' if manifest.is_phantom else ""}
</header>"""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _counts_section(manifest: Manifest) -> str:
    counts = counts_of(manifest.images())
    tiles = (
        ("images", counts.images),
        ("patients", counts.patients),
        ("masses", counts.masses),
        ("other lesions", counts.other_lesions),
        ("normal images", counts.normals),
        ("left out", len(manifest.quarantined)),
    )
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    tables = [html_table(each) for each in (list_table(manifest), published_table(manifest)) if each]
    return (
        f'<section><h2>What there is</h2><dl class="tiles">{cells}</dl>'
        f'<div class="tables">{"".join(tables)}</div></section>'
    )


def _footer(manifest: Manifest, options: AuditPageOptions) -> str:
    command = f" with <code>{escape(options.command)}</code>" if options.command else ""
    facts = [
        f"{name} {manifest.about[name]}" for name in ("layout", "split", "seed") if name in manifest.about
    ]
    made_of = f" Manifest: {escape(', '.join(facts))}." if facts else ""
    return (
        f"<footer><p>Made by mammo-monai {escape(__version__)}{command}.{made_of} Pictures are small, their "
        "grey values stretched one by one: for looking over a data set, not for reading.</p></footer>"
    )
