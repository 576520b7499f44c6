"""What a built site must hold: links that lead somewhere, pictures that are there, nothing from elsewhere.

Each check is a function from the site to a list of faults, in words.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
"""What a browser fetches by itself when it opens the page; `link` is one of these, too."""

CSS_URL = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")
SCRIPT_URL = re.compile(r"(?:import\(|importScripts\(|fetch\(|\.src\s*=)\s*['\"`]((?:https?:)?//[^'\"`]+)")


@dataclass
class Page:
    """One HTML file: where it can be entered, what it leads to, what it loads, its style texts."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    """Pictures without words for those who cannot see them."""


class _Reader(HTMLParser):
    """Fills a `Page`."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.is_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.is_style = tag == "style"
        self.page.ids.update(values[name] for name in ("id", "name") if values.get(name))
        self.page.styles.append(values.get("style", ""))
        if tag in {"a", "area"} and "href" in values:
            self.page.links.append(values["href"])
        if tag == "link" and values.get("rel") not in {"canonical", "author"}:
            self.page.loaded.append(values.get("href", ""))
        if LOADED.get(tag) in values:
            self.page.loaded.append(values[LOADED[tag]])
        if tag == "img" and not values.get("alt"):
            self.page.alone.append(values.get("src", ""))
        self.page.loaded += [each.split()[0] for each in values.get("srcset", "").split(",") if each.strip()]

    def handle_data(self, data: str) -> None:
        if self.is_style:
            self.page.styles.append(data)


def read_page(text: str) -> Page:
    """The page's anchors, links and loaded files."""
    reader = _Reader()
    reader.feed(text)
    return reader.page


def read_site(site: Path) -> dict[str, Page]:
    """Every HTML page by its path in the site."""
    files = sorted(site.rglob("*.html"))
    return {file.relative_to(site).as_posix(): read_page(file.read_text(encoding="utf-8")) for file in files}


def faults(site: Path) -> list[str]:
    """All that is wrong with the site; an empty list is a sound one."""
    pages = read_site(site)
    if "index.html" not in pages:
        return [f"{site}: no index.html; build the site first"]
    return [
        *dead_links(site, pages),
        *foreign_assets(site, pages),
        *(
            f"{path}: the picture {source} has no words (alt)"
            for path, page in pages.items()
            for source in page.alone
        ),
        *unreachable(pages),
        *search_faults(site, pages),
    ]


def dead_links(site: Path, pages: dict[str, Page]) -> Iterator[str]:
    """Links and loaded files that are not in the site, and anchors that are not in their page."""
    for path, page in pages.items():
        for target in dict.fromkeys([*page.links, *page.loaded]):
            if is_foreign(target) or target.startswith(("data:", "mailto:")):
                continue
            if target.startswith("/") or urlsplit(target).scheme:
                yield f"{path}: {target} does not hold when the site is moved; make it relative"
                continue
            there, anchor = resolved(path, target)
            if not (site / there).is_file():
                yield f"{path}: {target} leads nowhere"
            elif anchor and there in pages and anchor not in pages[there].ids:
                yield f"{path}: {target} has no such anchor"


def resolved(path: str, target: str) -> tuple[str, str]:
    """A link's file and anchor, seen from the site's root.

    >>> resolved("how-to/pacs.html", "../reference/manifest.html#the-rule")
    ('reference/manifest.html', 'the-rule')
    """
    parts = urlsplit(target)
    there = (
        posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
        if parts.path
        else path
    )
    return there, unquote(parts.fragment)


def is_foreign(target: str) -> bool:
    """A link to another host."""
    return target.startswith(("http://", "https://", "//"))


def foreign_assets(site: Path, pages: dict[str, Page]) -> Iterator[str]:
    """What a browser would fetch from another host: by tag, by style, by script."""
    for path, page in pages.items():
        yield from (f"{path}: loads {each} from elsewhere" for each in page.loaded if is_foreign(each))
        yield from (
            f"{path}: its style loads {url}" for style in page.styles for url in CSS_URL.findall(style)
        )
    for pattern, looked_for in (("*.css", CSS_URL), ("*.js", SCRIPT_URL), ("*.svg", CSS_URL)):
        for file in sorted(site.rglob(pattern)):
            for url in looked_for.findall(file.read_text(encoding="utf-8", errors="replace")):
                yield f"{file.relative_to(site).as_posix()}: loads {url} from elsewhere"


def unreachable(pages: dict[str, Page]) -> list[str]:
    """Pages to which no chain of links leads from the landing page."""
    seen, waiting = {"index.html"}, ["index.html"]
    while waiting:
        path = waiting.pop()
        for target in pages[path].links:
            there, _ = resolved(path, target)
            if not is_foreign(target) and there in pages and there not in seen:
                seen.add(there)
                waiting.append(there)
    made_by_builder = {"search.html", "genindex.html", "py-modindex.html"}
    return [f"{path}: no link leads to it" for path in sorted(pages.keys() - seen - made_by_builder)]


def search_faults(site: Path, pages: dict[str, Page]) -> list[str]:
    """The index is a script that the page loads, no file to fetch: so the search works from a disk."""
    file = site / "searchindex.js"
    if not file.is_file():
        return ["searchindex.js: missing, the search finds nothing"]
    if "search.html" not in pages or not any(
        "searchindex.js" in each for each in pages["search.html"].loaded
    ):
        return ["search.html: does not load searchindex.js"]
    index = json.loads(re.sub(r"^Search\.setIndex\(|\)$", "", file.read_text(encoding="utf-8").strip()))
    indexed = {f"{name}.html" for name in index["docnames"]}
    missing = sorted(pages.keys() - indexed - {"search.html", "genindex.html", "py-modindex.html"})
    return [f"{path}: the search does not know it" for path in missing]


def found_by(site: Path, word: str) -> set[str]:
    """Pages that the index holds for a word's stem, as `search.html` would find them."""
    text = (site / "searchindex.js").read_text(encoding="utf-8").strip()
    index = json.loads(re.sub(r"^Search\.setIndex\(|\)$", "", text))
    hits: set[int] = set()
    for terms in (index["terms"], index["titleterms"]):
        value = terms.get(word, [])
        hits.update(value if isinstance(value, list) else [value])
    return {index["docnames"][each] for each in hits}
