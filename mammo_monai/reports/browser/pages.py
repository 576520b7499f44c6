"""The pages of a data browser: the first with the name asked for, the others in a folder beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from mammo_monai import __version__
from mammo_monai.files import write_text_atomic
from mammo_monai.reports.browser.cards import FIELDS, Facts, filter_bar, values_of
from mammo_monai.reports.films.film import kind_variables, legend_html
from mammo_monai.reports.page.shell import INTENDED_USE, html_page, stylesheet
from mammo_monai.words import counted

_INDEX = "index.js"


@dataclass(frozen=True)
class Pages:
    """Where the pages of one browser lie, and what they all have.

    Attributes:
        path: of the first page. facts: of all images, in order. n_matching: images before the limit.
        notes: sentences, each in a coloured strip. command: how the pages were made, without folders.
    """

    path: Path
    facts: Sequence[Facts]
    per_page: int
    n_matching: int
    title: str
    notes: tuple[str, ...] = ()
    command: str = ""

    @property
    def folder(self) -> Path:
        """Holds the further pages and the pictures."""
        return self.path.with_name(f"{self.path.stem}_files")

    @property
    def count(self) -> int:
        """How many pages there are."""
        return -(-len(self.facts) // self.per_page)

    def file(self, number: int) -> Path:
        """Path of a page, from 1."""
        return self.path if number == 1 else self.folder / f"page-{number}.html"

    def address(self, number: int, *, seen_from: int) -> str:
        """Relative address of a page; the first lies above the others."""
        if number > 1:
            return self.beside(self.file(number).name, seen_from=seen_from)
        return f"../{quote(self.path.name)}" if seen_from > 1 else quote(self.path.name)

    def beside(self, name: str, *, seen_from: int) -> str:
        """Relative address of something in the folder, such as `page-2.html`."""
        return name if seen_from > 1 else f"{quote(self.folder.name)}/{name}"

    def write_index(self) -> None:
        """The facts of all images, by page, for filters that reach over pages; a script, since a page opened
        from a disk may load no other kind of file.
        """
        if self.count == 1:
            return
        rows = [
            [n // self.per_page + 1, *("|".join(values_of(each, field)) for field in FIELDS)]
            for n, each in enumerate(self.facts)
        ]
        content = json.dumps({"fields": list(FIELDS), "rows": rows}, separators=(",", ":"))
        write_text_atomic(self.folder / _INDEX, f"window.mammoIndex={content};\n")

    def remove_stale(self) -> None:
        """Takes away pages of an earlier, longer browser of the same name; pictures stay to be used again."""
        for old in self.folder.glob("page-*.html"):
            number = re.fullmatch(r"page-(\d+)\.html", old.name)
            if number and int(number[1]) > self.count:
                old.unlink(missing_ok=True)
        if self.count == 1:
            (self.folder / _INDEX).unlink(missing_ok=True)

    def html(self, number: int, cards: str) -> str:
        """The page of that number, from 1, with the cards of its images."""
        kinds = {kind for each in self.facts for kind in each.types}
        index = ""
        if self.count > 1:
            index = f'<script src="{escape(self.beside(_INDEX, seen_from=number))}"></script>\n'
        body = f"""{self._header(number)}
{filter_bar(self.facts)}
{legend_html(sorted(kinds))}
<main class="cards" data-page="{number}">
{cards}
</main>
<p class="none quiet" hidden>No image on this page matches.</p>
{self._pager(number)}
{_VIEWER}
<footer><p>Made by mammo-monai {escape(__version__)}{_made_with(self.command)}. Right breasts are shown
as they are stored. Pictures are reduced, their grey values stretched one by one: for looking over a data set,
not for reading.</p></footer>
{index}"""
        styles = (kind_variables(), stylesheet("film.css"), stylesheet("browser.css"))
        return html_page(self.title, body, styles=styles, scripts=(stylesheet("browser.js"),))

    def _header(self, number: int) -> str:
        shown, matching = len(self.facts), self.n_matching
        images = counted(matching, "image")
        said = images if shown == matching else f"{shown} of {images}"
        strip = "".join(f'<p class="banner" role="note">{escape(note)}</p>' for note in self.notes)
        where = f", page {number} of {self.count}" if self.count > 1 else ""
        return (
            f"<header><h1>{escape(self.title)} <small>{said}{where}</small></h1>"
            f'<p class="notice">{escape(INTENDED_USE)}</p>{strip}</header>'
        )

    def _pager(self, number: int) -> str:
        if self.count == 1:
            return ""
        links = "".join(
            f'<a href="{escape(self.address(n, seen_from=number))}" data-page="{n}"'
            f"{' aria-current=page' if n == number else ''}>{n}</a>"
            for n in range(1, self.count + 1)
        )
        return f'<nav class="pager" aria-label="Pages">{links}</nav>'


_VIEWER = """<dialog class="viewer" aria-label="Enlarged image">
<div class="viewer-film"></div>
<div class="viewer-facts"></div>
<form method="dialog" class="viewer-bar">
<button type="button" data-step="-1">‹ Previous</button><button type="button" data-step="1">Next ›</button>
<button type="button" data-toggle="boxes" aria-pressed="true">Boxes</button>
<button type="button" data-toggle="outline" aria-pressed="true">Outline</button>
<button value="close">Close</button></form>
</dialog>"""


def _made_with(command: str) -> str:
    return f" with <code>{escape(command)}</code>" if command else ""
