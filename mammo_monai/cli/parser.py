"""How the command parses and shows help: one-line errors with the nearest name, 100 columns at most."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from mammo_monai.cli.standard_output import delivered

WIDTH = 100
_NEAR = 0.6  # of difflib: "predct" is near predict, "learning_rate" near nothing
_LONG, _CHOICE = 40, "CHOICE"
_LISTS = ("examples:", "exit codes:")


class HelpFormatter(argparse.HelpFormatter):
    """Wraps prose at the terminal's width, 100 columns at most; lists of commands stay as they are."""

    def __init__(
        self, prog: str, indent_increment: int = 2, max_help_position: int = 28, **more: Any
    ) -> None:
        width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH) - 2
        more.pop("width", None)
        super().__init__(prog, indent_increment, max_help_position, width, **more)

    def _metavar_formatter(self, action: argparse.Action, default_metavar: str) -> Any:
        """Long choices stand in the help, not in the usage."""
        if not _has_long_choices(action):
            return super()._metavar_formatter(action, default_metavar)
        return lambda size: (_CHOICE,) * size

    def _expand_help(self, action: argparse.Action) -> str:
        text = super()._expand_help(action)
        if not _has_long_choices(action) or action.choices is None:
            return text
        return f"{text}. One of {', '.join(map(str, action.choices))}"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = re.split(r"\n{2,}", text.strip("\n"))
        return "\n\n".join(_block(each, width, indent) for each in parts)


def _has_long_choices(action: argparse.Action) -> bool:
    is_option = action.choices is not None and not isinstance(action, argparse._SubParsersAction)
    return is_option and action.metavar is None and len(",".join(map(str, action.choices or ()))) > _LONG


def _block(text: str, width: int, indent: str) -> str:
    """A paragraph wrapped, a list of commands with a backslash where a line is too long."""
    if not text.startswith(_LISTS):
        return textwrap.fill(" ".join(text.split()), width, initial_indent=indent, subsequent_indent=indent)
    head, *lines = text.split("\n")
    return "\n".join([head, *(part for line in lines for part in _broken(line, width))])


def _broken(line: str, width: int) -> Iterator[str]:
    """A line as it is; a command that is too long on several, as a shell takes it, broken before options."""
    if len(line) <= width or not line.strip().startswith("mammo-monai"):
        yield line
        return
    shown = ""
    for part in re.split(r" (?=-{1,2}[a-z])", line):
        if shown and len(shown) + len(part) + 3 > width:
            yield f"{shown} \\"
            shown = f"      {part}"
        else:
            shown = f"{shown} {part}" if shown else part
    yield shown


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the command, and name what was perhaps meant."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **options)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Ends after a help or an error, with the code that says whether the help came out."""
        super().exit(delivered(status), message)

    def error(self, message: str) -> NoReturn:
        """Ends with code 2."""
        stop = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{stop} See {self.prog} --help.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(each) for each in action.choices]
        near = suggestion(str(value), names)
        if isinstance(action, argparse._SubParsersAction):
            told = f"there is no {value!r}{near or '; there are ' + ', '.join(names)}"
        else:
            told = f"invalid choice: {value!r} (choose from {', '.join(map(repr, names))}){near}"
        raise argparse.ArgumentError(action, told)


def suggestion(word: str, known: Iterable[str]) -> str:
    """What was perhaps meant, to go behind a message; empty where nothing is near.

    >>> suggestion("predct", ["train", "predict"])
    '. Did you mean predict?'
    """
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=_NEAR)
    return f". Did you mean {' or '.join(near)}?" if near else ""


def unknown_text(unknown: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """A message on words that a parser does not take."""
    near = misspelt(unknown, parser).strip()
    return f"unrecognized arguments: {' '.join(unknown)}{f'. {near}' if near else ''}"


def misspelt(unknown: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """ " Did you mean --fppi?" for options that a parser does not take; empty where nothing is near."""
    options = {each.lstrip("-"): each for action in parser._actions for each in action.option_strings}
    wrong = [word.partition("=")[0].lstrip("-") for word in unknown if word.startswith("--")]
    near = next((found for word in wrong if (found := difflib.get_close_matches(word, options, n=1))), [])
    return f" Did you mean {options[near[0]]}?" if near else ""


def parser_of(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> argparse.ArgumentParser:
    """The innermost parser that parsed: of a verb, or of its command."""
    while True:
        actions = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
        name = getattr(parsed, actions[0].dest, None) if actions else None
        if name is None:
            return parser
        parser = actions[0].choices[name]


def walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in dict.fromkeys(action.choices.values()):
                yield from walk(each)
