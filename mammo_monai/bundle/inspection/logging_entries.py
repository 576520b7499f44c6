"""What a logging.conf would run: Python evaluates classes and arguments of its handlers and formatters."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator

from mammo_monai.bundle.inspection.code import Code, Verdict
from mammo_monai.bundle.inspection.known_names import is_dangerous

# Source: Python's logging.config, "Configuration file format": class and args are evaluated in the namespace
# of the package logging, where os and sys are.
_EVALUATED = ("class", "args", "kwargs", "defaults", "()", "factory")
_CLASSES = frozenset({"StreamHandler", "NullHandler"})
_WRITERS = re.compile(r"(handlers\.)?\w*Handler")


def logging_codes(file: str, text: str) -> list[Code]:
    """The evaluated fields of an INI file in the format of `logging.config.fileConfig`.

    Raises:
        ValueError: not such a file.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from error
    return list(_codes(file, parser))


def _codes(file: str, parser: configparser.RawConfigParser) -> Iterator[Code]:
    for section in parser.sections():
        for field in parser.options(section):
            value = parser.get(section, field).strip()
            if field in _EVALUATED and value:
                verdict = _verdict(section, field, value)
                yield Code(file, f"{section}#{field}", "logging", value, verdict.category, verdict.reason)


def _verdict(section: str, field: str, value: str) -> Verdict:
    if "%(" in value:
        return Verdict("dangerous", "put together from other fields before it is evaluated")
    try:
        tree = ast.parse(value, mode="eval").body
        return _class(section, tree) if field == "class" else _arguments(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Verdict("unreadable", "no Python expression, or one of too many parts")


def _class(section: str, tree: ast.expr) -> Verdict:
    whole = ast.unparse(tree)
    if section.startswith("formatter_"):
        # Imported by its full name: a bare `Formatter` would be a file of that name.
        if whole == "logging.Formatter":
            return Verdict("known", "Python's own")
        return Verdict("dangerous", "imported when logging starts")
    name = whole.removeprefix("logging.")
    if name in _CLASSES:
        return Verdict("known", "writes to the terminal, or nowhere")
    if _WRITERS.fullmatch(name):
        return Verdict("unknown", "a handler that writes files or sends messages")
    return Verdict("dangerous", "evaluated or imported when logging starts")


def _arguments(tree: ast.expr) -> Verdict:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = ast.unparse(node)
            if name not in ("sys", "sys.stdout", "sys.stderr"):
                kind = "reaches" if any(map(is_dangerous, name.split("."))) else "evaluates"
                return Verdict("dangerous", f"{kind} {name}")
        elif not isinstance(
            node, ast.Constant | ast.Tuple | ast.List | ast.Dict | ast.Set | ast.expr_context
        ):
            return Verdict("dangerous", f"evaluates code ({type(node).__name__})")
    return Verdict("value", "literals, or the terminal")
