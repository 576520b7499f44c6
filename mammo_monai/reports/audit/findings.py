"""The findings of an audit as HTML: by code, the worst first, each with its images and rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mammo_monai.reports.audit.withheld import Withholding
from mammo_monai.reports.films.film import Film, film_html
from mammo_monai.reports.films.shown import Shown
from mammo_monai.reports.gallery.items import view_text
from mammo_monai.reports.tables.table import UNDEFINED
from mammo_monai.schema import Action, Finding
from mammo_monai.words import counted

_WORST_FIRST = (Action.QUARANTINED, Action.WARNED, Action.REPAIRED)
_DONE = {
    Action.QUARANTINED: "left out of all lists",
    Action.WARNED: "kept as it is: look at it",
    Action.REPAIRED: "put right on reading",
}
_OPEN_ROWS = 20
_BESIDE_ROWS = (1, 2)  # so few pictures leave room for the rows at their side


@dataclass(frozen=True)
class CodeGroup:
    """The findings of one code, with the images they speak of."""

    code: str
    findings: tuple[Finding, ...]
    images: tuple[Shown, ...]

    def count(self, action: Action) -> int:
        """How many of the findings ended so."""
        return sum(finding.action is action for finding in self.findings)

    @property
    def anchor(self) -> str:
        """A name for links within the page."""
        return "code-" + re.sub(r"[^A-Za-z0-9-]+", "-", self.code)


@dataclass(frozen=True)
class Rendering:
    """What the groups of a page share.

    Attributes:
        films: by record id. meanings: by code. images: by record id. max_rows: shown of one code.
    """

    films: Mapping[str, Film]
    meanings: Mapping[str, str]
    images: Mapping[str, Shown]
    withhold: Withholding
    max_rows: int
    max_pictures: int


def sorted_groups(groups: Sequence[CodeGroup]) -> list[CodeGroup]:
    """Groups with images left out first, then those with warnings; the largest first among equals."""

    def badness(group: CodeGroup) -> tuple[int, int, str]:
        worst = next(n for n, action in enumerate(_WORST_FIRST) if group.count(action))
        return worst, -len(group.findings), group.code

    return sorted(groups, key=badness)


def findings_section(groups: Sequence[CodeGroup], rendering: Rendering) -> str:
    """The section with a table of all codes, the filter, and one block for each code."""
    if not groups:
        return '<section><h2>Findings</h2><p class="quiet">There are none.</p></section>'
    total = sum(len(group.findings) for group in groups)
    blocks = "".join(_group(group, rendering) for group in groups)
    done = "; ".join(f"<b>{action.value}</b>: {_DONE[action]}" for action in _WORST_FIRST)
    return f"""<section>
<h2>Findings <small>{counted(total, "finding")} of {counted(len(groups), "kind")}</small></h2>
<p class="quiet broad">{done}.</p>
{_overview(groups, rendering)}
{_filter_bar()}
{blocks}
</section>"""


def _overview(groups: Sequence[CodeGroup], rendering: Rendering) -> str:
    heads = "".join(f'<th scope="col" class="number">{action.value}</th>' for action in _WORST_FIRST)
    rows = "".join(
        f'<tr><th scope="row"><a href="#{group.anchor}"><code>{_text(group.code, rendering)}</code></a></th>'
        f'<td class="wrap">{_meaning(group, rendering)}</td>'
        + "".join(f'<td class="number">{group.count(action) or UNDEFINED}</td>' for action in _WORST_FIRST)
        + "</tr>"
        for group in groups
    )
    return (
        '<div class="panel"><div class="scroll" tabindex="0" role="group" aria-label="Findings by code">'
        f'<table><thead><tr><th scope="col">code</th><th scope="col">meaning</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _filter_bar() -> str:
    """Hidden until the script that works it has run: without one the page is whole, and has no dead knobs."""
    boxes = "".join(
        f'<label><input type="checkbox" name="action" value="{action.value}" checked> {action.value}</label>'
        for action in _WORST_FIRST
    )
    return (
        '<form class="filters" hidden><label class="search">Find '
        '<input type="search" name="text" placeholder="record id, place, words"></label>'
        f'<fieldset><legend>Action</legend>{boxes}</fieldset><output aria-live="polite"></output></form>'
    )


def _group(group: CodeGroup, rendering: Rendering) -> str:
    chips = "".join(
        f'<span class="chip {action.value}">{group.count(action)} {action.value}</span>'
        for action in _WORST_FIRST
        if group.count(action)
    )
    few = " few" if min(len(group.images), rendering.max_pictures) in _BESIDE_ROWS else ""
    return (
        f'<section class="group{few}" id="{group.anchor}">'
        f"<h3><code>{_text(group.code, rendering)}</code> {chips}</h3>"
        f'<p class="meaning">{_meaning(group, rendering)}</p>{_pictures(group, rendering)}'
        f"{_rows(group, rendering)}</section>"
    )


def _pictures(group: CodeGroup, rendering: Rendering) -> str:
    chosen = [image for image in group.images if image.record_id in rendering.films]
    chosen = chosen[: rendering.max_pictures]
    if not chosen:
        return ""
    found = {finding.record_id: finding for finding in reversed(group.findings)}
    cards = "".join(_card(image, found[image.record_id], rendering) for image in chosen)
    shown = f"{len(chosen)} of {counted(len(group.images), 'image')} shown"
    return f'<div class="odd"><p class="quiet">{shown}</p><div class="films">{cards}</div></div>'


def _card(image: Shown, finding: Finding, rendering: Rendering) -> str:
    what = f"{view_text(image.record)} · {image.place}" if image.record else image.place
    found = _text(finding.found, rendering)
    picture = film_html(rendering.films[image.record_id], f"Image {image.record_id}: {what}")
    return (
        f"<figure>{picture}<figcaption><span>{found}</span>"
        f"<small>{escape(what)}<br><code>{escape(image.record_id)}</code></small></figcaption></figure>"
    )


def _rows(group: CodeGroup, rendering: Rendering) -> str:
    shown = group.findings[: rendering.max_rows]
    rows = "".join(_row(finding, rendering) for finding in shown)
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("record", "list", "place", "what was found", "action")
    )
    more = ""
    if len(shown) < len(group.findings):
        more = (
            f'<p class="quiet">{len(shown)} of {len(group.findings)} rows are shown here; all of them stand '
            "in audit.csv.</p>"
        )
    opened = " open" if len(shown) <= _OPEN_ROWS else ""
    return (
        f'<details class="rows"{opened}><summary>{counted(len(shown), "row")}</summary>{more}'
        f'<div class="scroll" tabindex="0" role="group" aria-label="Findings {_text(group.code, rendering)}">'
        f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</details>"
    )


def _row(finding: Finding, rendering: Rendering) -> str:
    image = rendering.images.get(finding.record_id)
    record = f"<code>{_text(finding.record_id, rendering)}</code>" if finding.record_id else "data set"
    return (
        f'<tr data-action="{finding.action.value}"><th scope="row">{record}</th>'
        f"<td>{image.place if image else UNDEFINED}</td>"
        f"<td>{_text(finding.place, rendering) or UNDEFINED}</td>"
        f'<td class="wrap">{_text(finding.found, rendering)}</td>'
        f'<td><span class="chip {finding.action.value}">{finding.action.value}</span></td></tr>'
    )


def _meaning(group: CodeGroup, rendering: Rendering) -> str:
    meaning = rendering.meanings.get(group.code)
    return escape(meaning) if meaning else f"First: {_text(group.findings[0].found, rendering)}."


def _text(text: str, rendering: Rendering) -> str:
    return escape(rendering.withhold(text))
