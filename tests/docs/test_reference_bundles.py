"""docs/reference/bundles.md has every id of every shipped bundle, with its default, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mammo_monai.bundle.check import REQUIRED_IDS
from mammo_monai.bundle.sync import DECLARED_VALUES
from scripts.docs.bundle_ids import CONFIGS, PAGE, families, ids_of, is_value, with_tables

TEXT = PAGE.read_text(encoding="utf-8")


def section(name: str) -> str:
    found = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1].partition("<!-- defaults")[0]


def ids_in_tables(text: str, header: str) -> list[str]:
    """Ids of the first column of the tables whose header begins so; several may share a row."""
    tables = re.findall(rf"^\| id \| {re.escape(header)}.*\n\|[-|]+\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    firsts = (line.split("|")[1] for table in tables for line in table.splitlines())
    return [each for first in firsts for each in re.findall(r"`([^`]+)`", first)]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_id_of_a_configuration_is_explained_and_no_other(name: str) -> None:
    shown = ids_in_tables(section(name), "unit or words") + ids_in_tables(section(name), "what it makes")
    assert len(shown) == len(set(shown))
    there = {
        each
        for roots in families().values()
        for root in roots
        if (root / "configs" / name).is_file()
        for each in ids_of(json.loads((root / "configs" / name).read_text(encoding="utf-8")))
    }
    assert set(shown) == there


def test_values_and_components_are_told_apart() -> None:
    for name in CONFIGS:
        values = set(ids_in_tables(section(name), "unit or words"))
        there: dict[str, bool] = {}
        for root in (root for roots in families().values() for root in roots):
            path: Path = root / "configs" / name
            if path.is_file():
                for each, value in ids_of(json.loads(path.read_text(encoding="utf-8"))).items():
                    is_reference = str(value).startswith("@") and each in ("run", "train#inferer")
                    there[each] = there.get(each, False) or (is_value(value) and not is_reference)
        made = set(ids_in_tables(section(name), "what it makes"))
        assert {each for each in values if not there[each]} == set(), name
        assert {each for each in made if there[each] and each != "validate#preprocessing"} == set(), name


def test_the_defaults_are_those_of_the_bundles() -> None:
    assert with_tables(TEXT) == TEXT, "run python scripts/docs/bundle_ids.py"


def test_the_families_are_those_of_the_metadata() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|$", section("Families"), flags=re.MULTILINE)
    assert {name: set(bundles.split(", ")) for name, bundles in rows} == {
        name: {root.name for root in roots} for name, roots in families().items()
    }
    declared = set(re.findall(r"`(\w+)`", section("Families").partition("| family")[0]))
    assert declared == DECLARED_VALUES


def test_what_bundle_check_asks_for_is_said() -> None:
    (row,) = re.findall(r"^\| `mammo-monai bundle check` \| (.*) \|$", TEXT, flags=re.MULTILINE)
    for name, ids in REQUIRED_IDS.items():
        asked = row.partition(f"{name}: ")[2].partition(";")[0]
        assert set(re.findall(r"`([\w]+)`", asked)) == set(ids), name
