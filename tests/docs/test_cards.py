"""Cards: each bundle's model card and each data card says what a user must know, and truly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.bundle import bundle_names, find_bundle
from mammo_monai.readers.cbis_ddsm.case_tables import published_counts
from mammo_monai.readers.codes import MEANINGS
from mammo_monai.readers.inbreast.reader import PUBLISHED as INBREAST
from mammo_monai.readers.vindr.reader import PUBLISHED as VINDR

ROOT = Path(__file__).parents[2]
BUNDLES = sorted(path.parent.name for path in ROOT.glob("bundles/*/configs"))
DATA_CARDS = ROOT / "docs" / "reference" / "data-cards"

# What a model card holds (Mitchell et al., 2019), as words that must stand in it.
MODEL_CARD = {
    "intended use": r"\*\*Intended use\.\*\* Research\.",
    "no diagnosis": r"does\s+not\s+diagnose",
    "no device": r"is\s+not\s+a\s+medical\s+device",
    "out of scope": r"\*\*Out of scope\.\*\*",
    "data": r"^\| data \|",
    "start": r"^\| start \|",
    "input": r"^\| input \|",
    "output": r"^\| output \|",
    "weights": r"^\| weights \|",
    "figures": r"^\| figures \||^## Figures",
    "version": r"\*\*Version\.\*\*",
    "licence": r"\*\*Licence\.\*\*.*Apache-2\.0",
    "licence of the data": r"data_license\.txt",
    "faults": r"\*\*Faults\.\*\*",
    "limits": r"^## Limits",
    "commands": r"^```bash",
}
RULE_WORDS = (
    "IoU > 0.2",
    "95 % intervals",
    "bootstrap",
    "patients",
    "false positives per image over all images",
)
DATA_CARD = {
    "source": r"^\| source \|",
    "terms": r"^\| licence and terms \|",
    "citation": r"^\| cite \|",
    "size": r"^\| size \|",
    "population": r"^\| population \|",
    "acquisition": r"^\| acquisition \|",
    "annotation": r"^\| annotation \|",
    "truth": r"^\| truth \|",
    "lists and counts": r"^## Lists and counts",
    "command": r"^mammo-monai manifest ",
    "faults": r"^## Known faults",
    "limits": r"^## Biases and limits",
    "no conclusion": r"^## What must not be concluded",
}


def _missing(text: str, wanted: dict[str, str]) -> list[str]:
    return [
        part for part, words in wanted.items() if not re.search(words, text, flags=re.MULTILINE | re.DOTALL)
    ]


def _card(name: str) -> str:
    return (find_bundle(name) / "docs" / "README.md").read_text(encoding="utf-8")


def _metadata(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((find_bundle(name) / "configs" / "metadata.json").read_text())
    return content


def test_all_shipped_bundles_have_cards() -> None:
    assert set(BUNDLES) <= set(bundle_names())
    assert len(BUNDLES) == 11


@pytest.mark.parametrize("name", BUNDLES)
def test_a_model_card_holds_every_part(name: str) -> None:
    assert _missing(_card(name), MODEL_CARD) == []


def test_a_part_that_is_missing_is_noticed() -> None:
    card = _card(BUNDLES[0]).replace("## Limits", "## More")
    assert _missing(card, MODEL_CARD) == ["limits"]


@pytest.mark.parametrize("name", BUNDLES)
def test_a_card_points_to_the_version_of_its_metadata_and_never_states_another(name: str) -> None:
    card = _card(name)
    (line,) = re.findall(r"^\*\*Version\.\*\*(.*?)(?:\n\n|\Z)", card, flags=re.MULTILINE | re.DOTALL)
    assert "configs/metadata.json" in line
    assert re.findall(r"\d+\.\d+\.\d+", line) in ([], [_metadata(name)["version"]])


@pytest.mark.parametrize("name", BUNDLES)
def test_figures_stand_with_their_rule_or_nothing_is_claimed(name: str) -> None:
    card = _card(name)
    if "weights_sha256" in _metadata(name):
        figures = re.split(r"^## ", card.split("\n## Figures", 1)[1], flags=re.MULTILINE)[0]
        flat = " ".join(figures.split())
        assert [words for words in RULE_WORDS if words not in flat] == []
    else:
        assert re.search(r"^\| weights \| none shipped", card, flags=re.MULTILINE)
        assert re.search(r"^\| figures \| none", card, flags=re.MULTILINE)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_card_never_promises_a_diagnosis(name: str) -> None:
    text = " ".join(_card(name).split())
    for word in re.findall(r"[^.]*\bdiagnos\w*[^.]*\.", text):
        assert re.search(r"\bnot\b|\bnever\b|nobody", word), word


def test_there_is_a_data_card_for_each_data_set_and_the_phantoms() -> None:
    names = {path.stem for path in DATA_CARDS.glob("*.md")} - {"index"}
    assert names == {"cbis-ddsm", "inbreast", "vindr-mammo", "phantoms"}


@pytest.mark.parametrize("name", ["cbis-ddsm", "inbreast", "vindr-mammo", "phantoms"])
def test_a_data_card_holds_every_part_and_only_codes_there_are(name: str) -> None:
    text = (DATA_CARDS / f"{name}.md").read_text(encoding="utf-8")
    assert _missing(text, DATA_CARD) == []
    faults = re.split(r"^## ", text.split("## Known faults", 1)[1], flags=re.MULTILINE)[0]
    codes = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", faults))
    assert codes - set(MEANINGS) == set()


def _numbers(name: str) -> set[int]:
    text = (DATA_CARDS / f"{name}.md").read_text(encoding="utf-8")
    return {int(each.replace(" ", "")) for each in re.findall(r"\b\d+(?: \d{3})*\b", text)}


def test_counts_of_the_cards_are_those_the_readers_print() -> None:
    cbis = published_counts(calcifications=True).counts
    both = {"views in tables of both kinds", "patients in tables of both kinds"}
    told = {name: n for name, n in cbis.items() if "calcification" not in name and name not in both}
    assert {name: n for name, n in told.items() if n not in _numbers("cbis-ddsm")} == {}
    images, rows = (
        sum(n for name, n in cbis.items() if name.endswith(f"calcification{ending}"))
        for ending in (" images", "s")
    )
    assert {images, rows} <= _numbers("cbis-ddsm")
    for name, published in (("inbreast", INBREAST), ("vindr-mammo", VINDR)):
        assert {each for each in published.counts.values() if each not in _numbers(name)} == set(), name
