"""Blocks of code in a Markdown page, and the comments that steer how they are run: pure.

A page is a list of blocks in order. ```bash and ```python blocks are run as the reader would;
```json must parse; ```text and ```console are shown only. Comments directly before a block steer it:

    <!-- quick: OLD => NEW -->      the test replaces OLD; it must be there
    <!-- quick: + WORDS -->         the test appends words to the block's only command
    <!-- run by: tests/x.py -->     that test runs the block, for it needs a server or another environment
    <!-- not run: REASON -->        nobody runs it
    <!-- slow: REASON -->           run by `make test-docs`, left out of `make test`
    <!-- fails: 2 -->               the block is meant to end with this exit code
    <!-- file: NAME -->             the block is the content of this file, which later blocks use

and two anywhere before the first block: `<!-- world: NAME NAME -->`, what lies in the folder that the page
starts in, and `<!-- page run by: tests/x.py -->`, which says `run by` of every block of the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

RUN = ("bash", "python")
DATA = ("json", "ini", "toml", "yaml", "xml", "html", "csv", "dockerfile", "diff", "latex", "bibtex")
SHOWN = ("text", "console", "markdown")

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_COMMENT = re.compile(r"<!--\s*(?P<words>.*?)\s*-->", re.DOTALL)
_STEERING = re.compile(
    r"^(?P<kind>world|page run by|quick|run by|not run|slow|fails|file):\s*(?P<value>.*)$", re.DOTALL
)
_CONTINUED = re.compile(r"\\\n")


class SnippetError(ValueError):
    """A page whose blocks or comments cannot be meant so."""


@dataclass(frozen=True)
class Block:
    """One fenced block: what the reader sees, and how the test runs it."""

    language: str
    text: str  # as the reader sees it, ends with a newline
    line: int  # of its opening fence, from 1
    quick: tuple[str, ...] = ()
    run_by: str = ""
    not_run: str = ""
    slow: str = ""
    fails: int = 0
    file: str = ""

    @property
    def is_run(self) -> bool:
        """Whether a test of the page itself runs it."""
        return self.language in RUN and not (self.run_by or self.not_run or self.file)

    def quick_text(self) -> str:
        """The block as the test runs it: every `quick` applied.

        Raises:
            SnippetError: a replacement does not hit, or words are appended to several commands.
        """
        text = self.text
        for change in self.quick:
            text = (
                self._appended(text, change[1:]) if change.startswith("+") else self._replaced(text, change)
            )
        return text

    def _replaced(self, text: str, change: str) -> str:
        old, arrow, new = change.partition("=>")
        old, new = old.strip(), new.strip()
        if not arrow or not old:
            raise SnippetError(f"line {self.line}: quick must read OLD => NEW or + WORDS, got {change!r}.")
        if old not in text:
            raise SnippetError(f"line {self.line}: quick replaces {old!r}, which the block does not have.")
        return text.replace(old, new)

    def _appended(self, text: str, change: str) -> str:
        words = change[1:].strip()
        if len(commands_of(text)) != 1:
            raise SnippetError(f"line {self.line}: quick appends {words} to a block of several commands.")
        return f"{text.rstrip()} {words}\n"


@dataclass(frozen=True)
class Page:
    """A Markdown page: the world it starts in and its blocks in order."""

    path: Path
    world: str = "empty"
    blocks: tuple[Block, ...] = ()

    @property
    def run_blocks(self) -> list[Block]:
        """Those that a test of the page itself runs."""
        return [each for each in self.blocks if each.is_run]

    def without_slow(self) -> Page:
        """The page with only those blocks that `make test` has time for."""
        return Page(self.path, self.world, tuple(each for each in self.blocks if not each.slow))


@dataclass
class _Steering:
    """Comments read since the last block."""

    changes: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    line: int = 0


def read_page(path: Path) -> Page:
    """The page's world and blocks.

    Raises:
        SnippetError: a fence that nothing closes, a language nobody knows, a comment that steers nothing.
    """
    try:
        return parse_page(path, path.read_text(encoding="utf-8"))
    except SnippetError as error:
        raise SnippetError(f"{path}, {error}") from None


def parse_page(path: Path, text: str) -> Page:
    """The same of a text.

    >>> page = parse_page(Path("x.md"), "<!-- fails: 2 -->\\n```bash\\nfalse\\n```\\n")
    >>> page.blocks[0].text, page.blocks[0].fails
    ('false\\n', 2)
    """
    lines = text.splitlines()
    blocks: list[Block] = []
    page_said: dict[str, str] = {}
    steering = _Steering()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if opening:
            end = _closing(lines, at, opening)
            blocks.append(_block(lines[at + 1 : end], opening, steering, page_said, at + 1))
            steering, at = _Steering(), end + 1
        elif lines[at].lstrip().startswith("<!--"):
            at = _read_comment(lines, at, steering, page_said)
        else:
            if lines[at].strip() and (steering.changes or steering.said):
                raise SnippetError(f"line {steering.line}: this comment stands before no block.")
            at += 1
    if steering.changes or steering.said:
        raise SnippetError(f"line {steering.line}: this comment stands before no block.")
    return Page(path, page_said.get("world", "empty"), tuple(blocks))


def commands_of(text: str) -> list[str]:
    """Commands of a shell block, one a line: continued lines joined, comments and empty lines left out."""
    joined = _CONTINUED.sub(" ", text)
    return [bare for line in joined.splitlines() if (bare := re.sub(r"(^|\s)#\s.*$", "", line).strip())]


def _closing(lines: list[str], at: int, opening: re.Match[str]) -> int:
    fence = opening["fence"]
    for end in range(at + 1, len(lines)):
        bare = lines[end].strip()
        if bare.startswith(fence) and not bare.strip(fence[0]):
            return end
    raise SnippetError(f"line {at + 1}: nothing closes this block.")


def _read_comment(lines: list[str], at: int, steering: _Steering, page_said: dict[str, str]) -> int:
    """Takes one comment, of one or more lines, into the steering; the line after it."""
    end = next((n for n in range(at, len(lines)) if "-->" in lines[n]), at)
    for comment in _COMMENT.finditer("\n".join(lines[at : end + 1])):
        steered = _STEERING.match(comment["words"])
        if not steered:
            continue
        kind, value = steered["kind"], " ".join(steered["value"].split())
        if kind in ("world", "page run by"):
            page_said[kind] = value
        elif kind == "quick":
            steering.changes.append(value)
        else:
            steering.said[kind] = value
        steering.line = at + 1
    return end + 1


def _block(
    lines: list[str], opening: re.Match[str], steering: _Steering, page_said: dict[str, str], line: int
) -> Block:
    language = opening["info"].strip().split(" ")[0]
    if language not in (*RUN, *DATA, *SHOWN):
        raise SnippetError(
            f"line {line}: a block must say its language, one of {', '.join((*RUN, *DATA, *SHOWN))}; "
            f"got {language!r}. Output and illustrations are text."
        )
    indent = len(opening["indent"])
    text = "".join(f"{each[min(indent, len(each) - len(each.lstrip())) :]}\n" for each in lines)
    said = steering.said
    if "not run" in said and len(said["not run"].split()) < 3:
        raise SnippetError(f"line {line}: `not run` needs its reason in words, got {said['not run']!r}.")
    by = said.get("run by", "" if "not run" in said else page_said.get("page run by", ""))
    return Block(
        language,
        text,
        line,
        tuple(steering.changes),
        run_by=by,
        not_run=said.get("not run", ""),
        slow=said.get("slow", ""),
        fails=int(said.get("fails", "0")),
        file=said.get("file", ""),
    )
