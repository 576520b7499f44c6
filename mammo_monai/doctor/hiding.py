"""Findings that can be pasted into a public issue: no home, no user, no host, no place of this machine."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mammo_monai.doctor.findings import Finding

HIDDEN = "[hidden]"
_HOMES = re.compile(r"(?:/(?:home|Users)/|[A-Za-z]:\\Users\\)[^\s/\\'\":,;)]+")
# A path from the root with two parts and more; a single "/" or an MPI-like "a/b" is none.
_PATHS = re.compile(r"(?<![\w./~\]])/(?:[\w.@+~-]+/)+[\w.@+~-]*")


def for_others(finding: Finding) -> Finding:
    """The finding without what names this site: its private words, and all paths of this machine."""
    return _with_texts(replace(finding, private=()), lambda text: without_places(text, finding.private))


def at_home(finding: Finding) -> Finding:
    """The finding for this machine's user: their home folder is `~`, as the shell takes it."""
    return _with_texts(finding, _shortened)


def _with_texts(finding: Finding, changed: Callable[[str], str]) -> Finding:
    name, found = changed(finding.name), changed(finding.found)
    return replace(finding, name=name, found=found, why=changed(finding.why), fix=changed(finding.fix))


def without_places(text: str, private: tuple[str, ...] = ()) -> str:
    """A text without private words and paths.

    >>> without_places("no room in /data/films/of-ward-3, ask PACS@10.0.0.7", ("PACS@10.0.0.7",))
    'no room in [path], ask [hidden]'
    """
    for word in sorted(private, key=len, reverse=True):
        text = text.replace(word, HIDDEN) if word else text
    for place, name in _known_places():
        text = text.replace(place, name)
    return _PATHS.sub("[path]", _HOMES.sub("[home]", text))


def _known_places() -> list[tuple[str, str]]:
    """Folders that may be told by their role; the longest first, as one may lie in another."""
    places = {sys.prefix: "[environment]", tempfile.gettempdir(): "[temp]", str(Path.home()): "[home]"}
    places[str(Path.cwd())] = "[here]"
    known = [(place, name) for place, name in places.items() if len(place.strip(os.sep)) > 1]
    return sorted(known, key=lambda each: len(each[0]), reverse=True)


def _shortened(text: str) -> str:
    home = str(Path.home())
    return text.replace(home + os.sep, "~" + os.sep) if len(home.strip(os.sep)) > 1 else text
