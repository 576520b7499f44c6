"""Findings that can be pasted into a public issue: no home, no user, no host, no place of this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mammo_monai.doctor import places
from mammo_monai.doctor.findings import Finding

HIDDEN, _ENVIRONMENT = "[hidden]", "[environment]"
# What a folder's or file's name is made of here: marks count as its own where more follows them at once.
_PART = (
    r"(?:\[\w+\]|[^\s/\\'\",;:()\[\]]|[,;:](?=[^\s/\\'\",;:])|(?<=\w)'(?=\w)|\((?=\S)|\)(?=[^\s.,;:)'\"]))+"
)
_BELOW = rf"(?P<below>(?:[/\\]{_PART})*[/\\]?)"
# A name with blanks goes on after them: words, the last of which has a slash at its end.
_MORE = (
    rf"(?P<more>(?: {{1,2}}(?!~){_PART}(?: (?!~){_PART}){{0,5}}[/\\](?:{_PART}(?:[/\\]{_PART})*[/\\]?)?)*)"
)
_BEFORE = r"(?<![\w./~\]\\@+-])"  # a slash after one of these begins no path: "a/b", "./a", "https://a"
_START = (
    rf"file:/{{1,3}}(?=[^\s/])|{_BEFORE}(?:/|(?<!:)//)(?=[^\s/])"
    rf"|{_BEFORE}(?:[A-Za-z]:[\\/]|\\\\(?=\w)|~\w*[/\\])"
)
_PATHS = re.compile(rf"(?:{_START}){_PART}{_BELOW}{_MORE}")
_QUOTED = re.compile(rf"(?P<quote>['\"])(?P<path>(?:{_START})(?:(?!(?P=quote)).)*)(?P=quote)")
_AFTER_HIDDEN = re.compile(rf"{re.escape(HIDDEN)}(?=[/\\]){_BELOW}{_MORE}")
_HOMES = re.compile(r"(?:/(?:home|Users)/|[A-Za-z]:\\Users\\|~)")
_OF_PYTHON = re.compile(r"[/\\](?:lib|lib64|Lib|bin|Scripts)(?:[/\\]|$)")
_Places = list[tuple[str, str]]


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
    """A text without private words and paths; of a path remains what it lies in, by its role.

    Paths in quotes are told whole; of others with blanks in their last name, that name's end is only told by
    `private`.

    >>> without_places("no room in /data/films/of-ward-3, ask PACS@10.0.0.7", ("PACS@10.0.0.7",))
    'no room in [path], ask [hidden]'
    """
    known = _known_places()
    for word in sorted(private, key=len, reverse=True):
        text = text.replace(word, _told(word, known, HIDDEN)) if word else text
    text = _AFTER_HIDDEN.sub(HIDDEN, text)
    text = _QUOTED.sub(lambda found: f"{found['quote']}{_told(found['path'], known)}{found['quote']}", text)
    for place, name in known:
        text = _below_known(text, place, name)
    return _PATHS.sub(lambda found: _told(found[0], known), text)


def _below_known(text: str, place: str, name: str) -> str:
    """The text with a known folder, and all that lies below it, named by its role."""

    def told(found: re.Match[str]) -> str:
        is_ours = name == _ENVIRONMENT and bool(_shown_below(found["below"]))
        return name + found["below"] + found["more"] if is_ours else name

    end = rf"(?=[/\\]|\.?(?:[\s'\",;:()\[\]]|$)){_BELOW}{_MORE}"
    return re.sub(rf"{_BEFORE}{re.escape(place)}{end}", told, text)


def _told(path: str, known: _Places, otherwise: str = "") -> str:
    """What a path lies in, by its role."""
    for place, name in known:
        below = path.removeprefix(place)
        if path.startswith(place) and (not below or below[0] in "/\\"):
            return name + (_shown_below(below) if name == _ENVIRONMENT else "")
    return otherwise or ("[home]" if _HOMES.match(path) else "[path]")


def _shown_below(below: str) -> str:
    """What may be told of a place in Python's environment: its own folders, no others."""
    return below if _OF_PYTHON.match(below) and ".." not in below else ""


def _known_places() -> _Places:
    """Folders that may be told by their role; the longest first, as one may lie in another."""
    found = {Path(sys.prefix): _ENVIRONMENT}
    for place, name in ((places.temporary(), "[temp]"), (places.home(), "[home]"), (places.here(), "[here]")):
        if place is not None:
            found[place] = name
    known = [(str(place), name) for place, name in found.items() if len(str(place).strip(os.sep)) > 1]
    return sorted(known, key=lambda each: len(each[0]), reverse=True)


def _shortened(text: str) -> str:
    home = places.home()
    if home is None or len(str(home).strip(os.sep)) <= 1:
        return text
    # In quotes a shell takes "~" for a name.
    return re.sub(rf"(?<!['\"]){_BEFORE}{re.escape(str(home))}(?=[/\\])", "~", text)
