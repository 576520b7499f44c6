"""Macros that copy macros: a configuration of thirty lines would become a billion."""

from __future__ import annotations

from collections.abc import Iterable

from monai.bundle import ConfigParser

from mammo_monai.bundle.inspection.code import Verdict
from mammo_monai.bundle.inspection.config_entries import Entry

_MOST = 64


class Copies:
    """The macros of all configurations of a bundle, with what each of them copies."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._sources = {_plain(each.id): source for each in entries if (source := _source(each)) is not None}

    def verdict(self, entry: Entry) -> Verdict | None:
        """What is wrong with a macro; None where nothing is, or the entry is none."""
        source = self._sources.get(_plain(entry.id))
        if source is None or _source(entry) is None:
            return None
        if len(self._sources) > _MOST:
            return Verdict("unknown", f"one of {len(self._sources)} copies, expected at most {_MOST}")
        is_nested = any(not source or id == source or id.startswith(f"{source}#") for id in self._sources)
        return Verdict("unknown", "a copy of copies, which grows without end") if is_nested else None


def _source(entry: Entry) -> str | None:
    """The id that a macro copies; None where the entry is no macro."""
    if not isinstance(entry.value, str):
        return None
    text = ConfigParser.resolve_relative_ids(entry.id.replace("#", "::"), entry.value)
    return _plain(text[1:]) if text.startswith("%") else None


def _plain(id: str) -> str:
    return id.replace("::", "#")
