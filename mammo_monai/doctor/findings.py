"""What the doctor says: a finding with its level, why it matters, and the command that mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

REINSTALL = "python -m pip install --force-reinstall mammo-monai"
_PLAIN = re.compile(r"[\w@%+=:,./~\\-]+", re.ASCII)


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        kind: one of `KINDS`. name: what was looked at, in a few words.
        found: what is there. why: what it means for the user. fix: the command, or the step, that mends it.
        private: words in these texts that name the site or the user, such as hosts and AE titles.
    """

    kind: str
    name: str
    level: Level
    found: str
    why: str = ""
    fix: str = ""
    private: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """A plain object; empty texts are left out."""
        texts = {"found": self.found, "why": self.why, "fix": self.fix}
        head = {"kind": self.kind, "name": self.name, "level": self.level.value}
        return {**head, **{key: text for key, text in texts.items() if text}}

    def to_wire(self) -> dict[str, Any]:
        """All fields, for the way from a process to the one that asked."""
        return {**vars(self), "level": self.level.value, "private": list(self.private)}

    @classmethod
    def from_wire(cls, content: Mapping[str, Any]) -> Finding:
        """The finding that `to_wire` wrote."""
        given = dict(content)
        return cls(**{**given, "level": Level(given["level"]), "private": tuple(given["private"])})


def quoted(word: str | Path) -> str:
    """A word as a shell takes it: the commands of a fix are there to be pasted.

    >>> print(quoted("/data/ward 3/key.pem"), quoted("/data/key.pem"), quoted("O'Neill"))
    '/data/ward 3/key.pem' /data/key.pem "O'Neill"
    """
    text = str(word)
    if _PLAIN.fullmatch(text):
        return text
    # Not as shlex does it, which takes a name with an apostrophe apart: it could not be found and hidden.
    return f"'{text}'" if "'" not in text else f'"{text}"'


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; ok where nothing was found.

    >>> worst([Finding("disk", "space", Level.WARNING, "1 GB"), Finding("disk", "locks", Level.OK, "hold")])
    <Level.WARNING: 'warning'>
    """
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.OK)
