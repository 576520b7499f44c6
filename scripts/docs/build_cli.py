"""Pages of the command: one for each verb of the parser, and parsers for the builder to read.

The builder asks this module for a function by a verb's name; it finds it through `__getattr__`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from mammo_monai.cli.main import build_parser

PROGRAM = "mammo-monai"


def __getattr__(verb: str) -> Callable[[], argparse.ArgumentParser]:
    """A function that makes the parser of a verb; its dashes are underscores here."""
    found = verbs(build_parser()).get(verb.replace("_", "-"))
    if found is None:
        raise AttributeError(f"{verb} is no verb of {PROGRAM}")
    return lambda: readable(found)


def verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a parser's verbs or actions, in the order of its help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def one_line_helps(parser: argparse.ArgumentParser) -> dict[str, str]:
    """What the parser's own help says of each verb."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {each.dest: each.help or "" for each in action._choices_actions}
    return {}


def readable(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser with help texts that mean the same in reStructuredText: a star is a star."""
    for action in parser._actions:
        if action.help and action.help != argparse.SUPPRESS:
            action.help = escaped(action.help)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter  # the builder keeps lines of such a parser
    parser.description = " ".join((parser.description or "").split())
    for each in verbs(parser).values():
        readable(each)
    return parser


def escaped(text: str) -> str:
    r"""Characters that mark up text, escaped; pieces in backticks become code, quoted ones are left alone.

    >>> escaped("all of `DIR/*.dcm`, or * of a_ ")
    'all of ``DIR/*.dcm``, or \\* of a\\_ '
    """
    pieces = re.split(r"(`[^`]+`|'[^']+'|\"[^\"]+\"|\{[^}]+\})", text)
    return "".join(
        (f"`{piece}`" if piece.startswith("`") else piece) if at % 2 else _escaped_plain(piece)
        for at, piece in enumerate(pieces)
    )


def _escaped_plain(text: str) -> str:
    return re.sub(r"([*|`])|(?<=\w)(_)(?!\w)", lambda match: "\\" + match.group(), text)


def cli_pages() -> dict[str, str]:
    """The index of verbs and a page for each, by their places in the site."""
    parser = build_parser()
    pages = {f"reference/cli/{verb}.rst": _verb_page(verb) for verb in verbs(parser)}
    pages["reference/cli/index.md"] = _index(parser)
    return pages


def _verb_page(verb: str) -> str:
    lines = [
        ".. highlight:: none",
        "",
        ".. sphinx_argparse_cli::",
        "   :module: build_cli",
        f"   :func: {verb.replace('-', '_')}",
        f"   :prog: {PROGRAM} {verb}",
        f"   :title: {PROGRAM} {verb}",
        "   :usage_width: 88",
        "   :no_default_values:",
        "   :group_title_prefix:",
        "   :group_sub_title_prefix: {subcommand}",
        "",
    ]
    return "\n".join(lines)


def _index(parser: argparse.ArgumentParser) -> str:
    """The verbs with their own one line each, the examples of the program's help, and its exit codes."""
    helps = one_line_helps(parser)
    rows = [
        f"| [{PROGRAM} {verb}]({verb}.rst) | {helps.get(verb, '').replace('|', chr(92) + '|')} |"
        for verb in verbs(parser)
    ]
    examples, _, rest = (parser.epilog or "").partition("\n\n")
    commands = "\n".join(line.strip() for line in examples.splitlines()[1:])
    lines = [
        "# Commands",
        "",
        parser.description or "",
        "",
        f"`{PROGRAM} VERB --help` says the same in a terminal. Before the verb: `-v` logs each image "
        "and shows tracebacks, `--version` prints the version.",
        "",
        "| command | what it does |",
        "|---|---|",
        *rows,
        "",
        "```bash",
        commands,
        "```",
        "",
        rest[:1].upper() + rest[1:],
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *(f"{verb} <{verb}>" for verb in verbs(parser)),
        "```",
        "",
    ]
    return "\n".join(lines)
