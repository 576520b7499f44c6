"""What the builder reads from code: plain text there is no markup here, and types lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_origin

from build_api import documented_names
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.nodes import find_pending_xref_condition

ROOT = Path(__file__).resolve().parents[2]

CODE = re.compile(r"(``.+?``|`[^`]+`|:\w+:`[^`]+`)")
SPAN = re.compile(r"`([^`]+)`")
ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[([^\[\]]+)\]\]"
)
MARKUP = re.compile(r"(?<!\\)([*|])|(?<=\w)(_)(?![\w`])")


def setup(app: Any) -> dict[str, bool]:
    """Joins the builder."""
    app.connect("autodoc-process-docstring", escape, priority=100)  # before napoleon reads sections
    names = documented_names(ROOT)
    app.connect("doctree-read", lambda _app, doctree: resolve_types(doctree, names))
    app.connect("autodoc-process-signature", shorten, priority=900)
    app.connect("doctree-read", lambda _app, doctree: show_code(doctree))
    app.connect("doctree-read", lambda _app, doctree: show_examples(doctree))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def escape(_app: Any, kind: str, _name: str, value: Any, _options: Any, lines: list[str]) -> None:
    """Escapes stars, bars and trailing underscores outside code and doctests, in place.

    A constant without words of its own gets none: not those of `dict`, of which it is one.
    """
    if kind == "data" and lines and lines[0] == (inherited_words(value) or [""])[0]:
        lines.clear()
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else escaped(line) for line in lines]


def resolve_types(doctree: Any, names: dict[str, str]) -> None:
    """Types in signatures lead to where the package offers them; of those from elsewhere the name stays.

    Left to itself the builder looks through all names for each, and finds none that is offered under another.
    """
    documented = set(names.values())
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py":
            there = names.get(node["reftarget"], node["reftarget"])
            if there in documented:
                node.attributes.update({"reftarget": there, "refspecific": False})
            else:
                short = find_pending_xref_condition(node, "resolved")  # without its module
                node.replace_self(node.children if short is None else short.children)


def show_code(doctree: Any) -> None:
    """Backticks in the description of a verb become code: the parser's text is taken as it is."""
    for paragraph in list(doctree.findall(nodes.paragraph)):
        pieces = SPAN.split(paragraph.astext())
        is_plain = all(isinstance(each, (nodes.Text, nodes.inline)) for each in paragraph.children)
        if is_plain and len(pieces) > 1:
            plain = [
                nodes.inline("", each, support_smartquotes=False) for each in pieces
            ]  # dashes stay dashes
            code = [nodes.literal(text=each) for each in pieces]
            paragraph.children = []
            paragraph.extend((code if at % 2 else plain)[at] for at in range(len(pieces)))


def show_examples(doctree: Any) -> None:
    """The examples that end a verb's help become commands to copy."""
    for block in list(doctree.findall(nodes.literal_block)):
        head, _, commands = block.astext().partition("\n")
        if head == "examples:":
            text = "\n".join(line.strip() for line in commands.splitlines())
            block.replace_self(
                [nodes.rubric(text="Examples"), nodes.literal_block(text, text, language="bash")]
            )


def shorten(_app: Any, *event: Any) -> tuple[str | None, str | None]:
    """Signatures with types as they are written: `NDArray[float64]`, not what numpy makes of it."""
    signature, returned = event[4:]
    return tuple(text and ARRAY.sub(r"NDArray[\1]", text) for text in (signature, returned))  # type: ignore


def inherited_words(value: Any) -> list[str]:
    """The docstring of the type of a value, or of the type it is an alias of.

    >>> inherited_words(dict[str, int])[0].split("->")[0]
    'dict() '
    """
    return ((get_origin(value) or type(value)).__doc__ or "").strip().splitlines()


def escaped(line: str) -> str:
    r"""One line, its code left alone.

    >>> escaped("boxes, shape (N, 4), of `**options` | None")
    'boxes, shape (N, 4), of `**options` \\| None'
    """
    pieces = CODE.split(line)
    return "".join(
        piece if at % 2 else MARKUP.sub(lambda match: "\\" + match.group(), piece)
        for at, piece in enumerate(pieces)
    )
