"""The house as CONTRIBUTING.md draws it is the one that stands: folders, layers, packages."""

from __future__ import annotations

import re

from tests.recipes.follow import ROOT
from tests.test_architecture import ALLOWED, ALLOWED_WHERE_USED, LAYER, NUMBERS, SAME_LAYER

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WORDS = {"numbers": NUMBERS}
ROW = re.compile(r"^\| `(\w+)` \| (-?\d) \| ([^|]+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)


def names(text: str) -> set[str]:
    found: set[str] = set()
    for word in re.findall(r"\w+", text):
        found |= WORDS.get(word, {word})
    return found


def test_every_folder_stands_there_with_its_layer_and_packages() -> None:
    rows = {name: (int(layer), packages) for name, layer, _, _, packages in ROW.findall(PAGE)}
    assert {name: layer for name, (layer, _) in rows.items()} == LAYER
    for name, (_, packages) in rows.items():
        at_the_top, _, where_used = packages.partition("(")
        assert names(at_the_top) == ALLOWED[name], name
        assert names(where_used) == ALLOWED_WHERE_USED.get(name, set()), name


# What Python makes, and what MONAI Label makes in the application it serves.
_OF_NO_COMMIT = {"__pycache__", "bin", "lib", "logs", "model"}


def test_every_folder_inside_stands_there_and_no_other() -> None:
    table = PAGE.partition("| folder inside |")[2].partition("\n\n")[0]
    firsts = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    package = ROOT / "mammo_monai"
    there = {
        path.relative_to(package).as_posix()
        for path in package.glob("*/**/")
        if path.parent != package
        and any(path.glob("*.*"))
        and not _OF_NO_COMMIT & {*path.relative_to(package).parts}
    }
    assert set(re.findall(r"`([\w/]+)`", firsts)) == there


def test_imports_within_a_layer_are_named() -> None:
    said = PAGE.partition("No torch in layers")[2].partition("\n\n")[0]
    assert {name for pair in SAME_LAYER for name in pair} <= set(re.findall(r"`(\w+)`", said))


def test_every_file_and_folder_it_names_is_there() -> None:
    house = PAGE.partition("## The house")[2].partition("## Coordinates")[0]
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", house)
    assert len(named) > 15
    assert [
        each for each in named if not any((ROOT / base / each).exists() for base in ("", "mammo_monai"))
    ] == []
