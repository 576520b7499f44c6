"""The site's source: the repository's pages laid out as the site shows them, with links that hold there.

Nothing is written beside the pages themselves: the source is a folder under build/, made anew each time.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from build_links import lines_with_code, rewrite_links, rewrite_notebook, site_text

PROJECT = {
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "bundles/README.md": "bundles/index.md",
}
"""Pages outside docs/ and where they stand in the site; bundles' own pages follow a rule, `bundle_page`."""

ALSO_BELOW = {"tutorials/index.md": ("notebooks/",), "project/contributing.md": ("contributing/",)}
"""Folders without an index of their own, and the page that lists theirs."""

SHORT = {
    "bundles/index.md": "Bundles",
    "project/readme.md": "Readme",
    "project/contributing.md": "Contributing",
    "project/changelog.md": "Changelog",
}
"""What the side bar calls the pages that stand outside docs/."""

PARTS = ("tutorials/index.md", "how-to/index.md", "reference/index.md", "explanation/index.md")
PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp"}
LANGUAGES = {
    ".py": "python",
    ".json": "json",
    ".toml": "toml",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".sh": "bash",
}
LINKED_PAGE = re.compile(r"\](?:\(|:)\s*<?([^)\s#>]+\.(?:md|ipynb|rst))")
UNLISTED = "\n## Not listed above\n\n"


@dataclass
class Stage:
    """The repository at `root`, laid out in `out`.

    `placed` maps each page to its place in the site, `generated` a place to the text of a page made for it.
    """

    root: Path
    out: Path
    generated: dict[str, str] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    shown_files: set[str] = field(default_factory=set)
    unlisted: list[str] = field(default_factory=list)

    def write(self) -> None:
        """All pages, the pictures they show, and a page for each other file that a page leads to."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.placed = {path: place for path in pages_of(self.root) if (place := place_of(path))}
        for place, text in self.generated.items():
            self.put(place, text)
        for path in self.placed:
            self._write_page(path)
        for path in sorted(self.shown_files):
            self._write_file_page(path)

    def _write_page(self, path: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        place = self.placed[path]

        def resolve(target: str) -> str:
            return self.link(path, target)

        if path.endswith(".ipynb"):
            self.put(place, rewrite_notebook(text, resolve))
            return
        text = rewrite_links(site_text(text), resolve)
        if not re.search(r"^# ", text, re.MULTILINE):
            text = f"# {'Weights' if place.endswith('models.md') else PurePosixPath(place).stem}\n\n{text}"
        if place.endswith("index.md") or place in ALSO_BELOW:
            text += self._contents(path, text)
        self.put(place, text)

    def _contents(self, path: str, text: str) -> str:
        """The pages below an index, for the side bar: those it leads to in their order, then all others."""
        place = self.placed[path]
        if place == "index.md":
            return self._parts()
        folder = str(PurePosixPath(place).parent)
        own = (f"{folder}/",) if place.endswith("index.md") else ()
        below = self._below(place, own + ALSO_BELOW.get(place, ()))
        plain = "\n".join(line for line, is_code in lines_with_code(text) if not is_code)
        named = [os.path.normpath(f"{folder}/{each}") for each in LINKED_PAGE.findall(plain)]
        listed = list(dict.fromkeys(each for each in named if each in below))
        others = [each for each in below if each not in listed]
        more = ""
        if others and not path.startswith("bundles/"):  # a bundle's card is no list of pages
            self.unlisted += others
            more = UNLISTED + "".join(
                f"- [{self._title(each)}]({os.path.relpath(each, folder)})\n" for each in others
            )
        return more + toctree(os.path.relpath(each, folder) for each in [*listed, *others])

    def _below(self, index: str, folders: tuple[str, ...]) -> list[str]:
        """What an index lists: pages in its folders; of a folder with an index of its own, that alone."""
        places = [*self.placed.values(), *self.generated]
        inside = [each for each in places if each.startswith(folders) and each != index]
        indexed = {str(PurePosixPath(each).parent) for each in inside if PurePosixPath(each).stem == "index"}
        return sorted(
            each
            for each in inside
            if str(PurePosixPath(each).parent) not in indexed or PurePosixPath(each).stem == "index"
        )

    def _parts(self) -> str:
        """The side bar's first level."""
        parts = [each for each in PARTS if each in self.placed.values()]
        project = [f"{title} <{place}>" for place, title in SHORT.items() if place in self.placed.values()]
        return toctree(parts) + toctree(project, caption="Project")

    def _title(self, place: str) -> str:
        """The first heading of a page, its place where it has none."""
        source = next((path for path, where in self.placed.items() if where == place), None)
        text = (self.root / source).read_text(encoding="utf-8") if source else ""
        heading = re.search(r"^(?:\s*\")?# (.+?)(?:\\n)?\"?,?$", text, re.MULTILINE)
        return heading.group(1) if heading else place

    def link(self, page: str, target: str) -> str:
        """The link for the site: to a page, a picture, a page that shows the file. A dead one stays dead."""
        path = os.path.normpath(PurePosixPath(page).parent / target)
        if (self.root / path).is_dir() and f"{path}/README.md" in self.placed:
            path = f"{path}/README.md"
        elif (self.root / path).is_dir() and f"{path}/index.md" in self.placed:
            path = f"{path}/index.md"
        if path in self.placed:
            place = self.placed[path]
        elif path.startswith("..") or not (self.root / path).exists():
            return target  # the builder names it
        elif PurePosixPath(path).suffix.lower() in PICTURES:
            place = self._copy_picture(path)
        else:
            self.shown_files.add(path)
            place = f"source/{path}.md"
        return os.path.relpath(place, PurePosixPath(self.placed[page]).parent)

    def _copy_picture(self, path: str) -> str:
        place = path.removeprefix("docs/")
        (self.out / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.root / path, self.out / place)
        return place

    def _write_file_page(self, path: str) -> None:
        """A file of the repository as a page; of a folder, the names in it."""
        file = self.root / path
        head = f"---\norphan: true\n---\n\n# {PurePosixPath(path).name}\n\n`{path}` of the repository"
        if file.is_dir():
            names = sorted(each.name for each in file.iterdir() if not each.name.startswith(("_", ".")))
            self.put(
                f"source/{path}.md", f"{head}, a folder:\n\n" + "".join(f"- `{name}`\n" for name in names)
            )
            return
        text = file.read_text(encoding="utf-8")
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
        language = LANGUAGES.get(file.suffix, "text")
        self.put(f"source/{path}.md", f"{head}:\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n")

    def put(self, place: str, text: str) -> None:
        """Writes one page of the source."""
        file = self.out / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def pages_of(root: Path) -> list[str]:
    """The repository's pages by their paths, sorted; `_` and `.` begin what is none."""
    patterns = ("*.md", "docs/**/*.md", "docs/**/*.ipynb", "bundles/*.md", "bundles/*/*/*.md")
    found = {each.relative_to(root).as_posix() for pattern in patterns for each in root.glob(pattern)}
    return sorted(path for path in found if not re.search(r"(^|/)[_.]", path))


def place_of(path: str) -> str | None:
    """Where a page of the repository stands in the site; None for one that the site leaves out.

    >>> place_of("docs/how-to/pacs.md"), place_of("bundles/a/docs/README.md"), place_of("NOTES.md")
    ('how-to/pacs.md', 'bundles/a/index.md', None)
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    card = re.fullmatch(r"bundles/([^/]+)/(docs|models)/README\.md", path)
    if card:
        return f"bundles/{card.group(1)}/{'index' if card.group(2) == 'docs' else 'models'}.md"
    return PROJECT.get(path)


def toctree(places: Iterable[str], *, caption: str = "") -> str:
    """A hidden table of contents: what the side bar shows."""
    head = ["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    return "\n".join([*head, *places, "```", ""])
