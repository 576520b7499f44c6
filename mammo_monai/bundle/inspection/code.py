"""One place of a bundle that is run, or could be: where it stands, what it says, and what kind it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "expression",
    "target",
    "import",
    "macro",
    "mode",
    "requires",
    "disabled",
    "logging",
    "download",
    "script",
    "tag",
    "key",
    "path",
    "weights",
    "wheel",
    "link",
    "file",
]
# From harmless to not: an expression is of the last of the categories in it.
Category = Literal[
    "value", "path", "device", "known", "run step", "not run", "unknown", "dangerous", "unreadable"
]
ORDER: tuple[Category, ...] = get_args(Category)
SAFE = frozenset({"value", "path", "device", "known", "run step", "not run"})


@dataclass(frozen=True)
class Verdict:
    """A category, and why, for people."""

    category: Category
    reason: str


@dataclass(frozen=True)
class Code:
    """What a configuration would run, or what else of a bundle is code.

    Attributes:
        file: relative to the bundle's folder.
        id: of the configuration (`train#trainer#model`), or a section of another file; "" for a whole file.
        text: as it stands in the file.
        category: those in SAFE are on the list of what may run unread; `unknown`, `dangerous`, `unreadable`
            are not.
    """

    file: str
    id: str
    kind: Kind
    text: str
    category: Category
    reason: str

    @property
    def is_safe(self) -> bool:
        """Whether it is on the list of what a configuration may do without being read by a person."""
        return self.category in SAFE


def worst(verdicts: list[Verdict]) -> Verdict:
    """The verdict that counts for all of them; a plain value where there is none.

    >>> worst([Verdict("known", "a"), Verdict("dangerous", "b"), Verdict("value", "c")])
    Verdict(category='dangerous', reason='b')
    """
    none = Verdict("value", "literals and ids")
    return max([none, *verdicts], key=lambda each: ORDER.index(each.category))
