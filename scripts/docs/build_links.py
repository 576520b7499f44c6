"""Links of a Markdown page: found outside code, and rewritten for the place the page has in the site."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

Resolve = Callable[[str], str]
"""From a link as written, without its anchor, to the link the site needs."""

FENCE = re.compile(r"^\s*(?:>\s*)*(`{3,}|~{3,})")
CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
INLINE = re.compile(r"(?P<before>\]\(\s*<?)(?P<target>[^)\s>]+)")
DEFINITION = re.compile(r"^(?P<before>\s{0,3}\[[^\]]+\]:\s+<?)(?P<target>[^\s>]+)")
ATTRIBUTE = re.compile(r"(?P<before>\b(?:src|href)=\")(?P<target>[^\"]+)")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
SITE_ONLY = re.compile(r"<!-- site\n(.*?)\n-->", re.DOTALL)


def is_outside(target: str) -> bool:
    """A link with a scheme, https://… or mailto:…, leaves the site."""
    return ELSEWHERE.match(target) is not None


def rewrite_links(text: str, resolve: Resolve) -> str:
    """The page with every link to a file of the repository resolved; code and links to elsewhere stay.

    >>> rewrite_links("[a](../a.md#b), `[c](d.md)`", lambda target: target.upper())
    '[a](../A.MD#b), `[c](d.md)`'
    """
    return "\n".join(
        line if is_code else _rewrite_line(line, resolve) for line, is_code in lines_with_code(text)
    )


def lines_with_code(text: str) -> list[tuple[str, bool]]:
    """Each line, and whether it belongs to a fenced block of code."""
    found: list[tuple[str, bool]] = []
    fence = ""
    for line in text.split("\n"):
        match = FENCE.match(line)
        found.append((line, bool(fence or match)))
        if match and not fence:
            fence = match.group(1)
        elif match and match.group(1).startswith(fence):
            fence = ""
    return found


def _rewrite_line(line: str, resolve: Resolve) -> str:
    """Links outside code spans; a span within the text of a link does not hide the link."""
    spans = [match.span() for match in CODE_SPAN.finditer(line)]

    def rewritten(match: re.Match[str]) -> str:
        start = match.start("target")
        target = match.group("target")
        if any(first <= start < last for first, last in spans) or is_outside(target) or target[0] == "#":
            return match.group()
        path, hash_, anchor = target.partition("#")
        return match.group("before") + resolve(path) + hash_ + anchor

    for pattern in (DEFINITION, ATTRIBUTE, INLINE):
        line = pattern.sub(rewritten, line)
        spans = [match.span() for match in CODE_SPAN.finditer(line)]
    return line


def site_text(text: str) -> str:
    """The page as the site shows it: what stands in a comment `<!-- site` is shown, other comments are gone.

    Lines keep their numbers, so that a warning of the builder names the line of the file.
    """
    text = SITE_ONLY.sub(lambda match: f"\n{match.group(1)}\n", text)
    blocks = re.split(
        r"(^[ \t]*(?:```|~~~).*?^[ \t]*(?:```|~~~)[ \t]*$)", text, flags=re.DOTALL | re.MULTILINE
    )
    return "".join(
        block if at % 2 else COMMENT.sub(lambda match: "\n" * match.group().count("\n"), block)
        for at, block in enumerate(blocks)
    )


def rewrite_notebook(text: str, resolve: Resolve) -> str:
    """A notebook with the links of its Markdown cells resolved."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            cell["source"] = rewrite_links(site_text(source), resolve)
    return json.dumps(notebook)
