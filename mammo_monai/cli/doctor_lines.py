"""Findings of the doctor on a terminal: without any package, as it must speak where packages are broken."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from mammo_monai.words import counted

if TYPE_CHECKING:
    from mammo_monai.doctor import Finding

WIDTH = 100
_LEVEL, _NAME = 9, 24
_COLOURS = {"ok": "32", "warning": "33", "fault": "31"}


def finding_lines(
    findings: Sequence[Finding], *, has_notes: bool = True, has_colours: bool | None = None
) -> list[str]:
    """One block per kind, one line per finding, with why it matters and what mends it; then the count.

    Neighbours of one remedy, such as decoders of one package, tell it once, below the last.

    Args:
        has_notes: whether what is well says more than one line.
        has_colours: None: on a terminal that wants them (no NO_COLOR, https://no-color.org).
    """
    if has_colours is None:
        has_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = max(60, min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH))
    lines = []
    for kind, group in groupby(findings, key=lambda each: each.kind):
        lines.append(kind)
        alike = list(group)
        for each, below in zip(alike, [*alike[1:], None], strict=True):
            is_told_below = below is not None and _remedy(below) == _remedy(each)
            is_brief = is_told_below or (each.level.value == "ok" and not has_notes)
            shown = replace(each, why="", fix="") if is_brief else each
            lines += _lines(shown, width, has_colours)
    return [*lines, "", _count(findings)]


def _remedy(finding: Finding) -> tuple[str, str, str]:
    return finding.level.value, finding.why, finding.fix


def _lines(finding: Finding, width: int, has_colours: bool) -> list[str]:
    level = finding.level.value
    indent = " " * (2 + _LEVEL)
    name = f"{finding.name:<{_NAME}}" if len(finding.name) < _NAME else f"{finding.name}: "
    below = indent + " " * (_NAME if len(finding.name) < _NAME else 2)
    lines = _wrapped(f"{indent}{name}{finding.found}", width, below)
    word = f"{level:<{_LEVEL}}"
    shown = f"\x1b[{_COLOURS[level]}m{word}\x1b[0m" if has_colours else word
    lines[0] = f"  {shown}{lines[0][len(indent) :]}"
    is_ok = level == "ok"
    if finding.why:
        lines += _wrapped(f"{indent}{'note' if is_ok else 'why '}  {finding.why}", width, indent + " " * 6)
    if finding.fix:
        lines.append(f"{indent}{'how ' if is_ok else 'mend'}  {finding.fix}")  # never wrapped: it is copied
    return lines


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)


def _count(findings: Sequence[Finding]) -> str:
    counts = {level: sum(each.level.value == level for each in findings) for level in _COLOURS}
    said = [f"{counts['ok']} ok"]
    said += [counted(n, level) for level, n in counts.items() if n and level != "ok"]
    return f"{counted(len(findings), 'finding')}: {', '.join(said)}"
