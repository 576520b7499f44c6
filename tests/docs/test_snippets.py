"""Every command and snippet of the documentation is run as a reader would, page by page, from its world."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.running import page_environment, run_steps
from tests.docs.site import Site, site  # a fixture
from tests.docs.snippets import Block, Page, commands_of, read_page
from tests.docs.steps import write_steps
from tests.docs.worlds import ROOT, WORLDS

__all__ = ["site"]
FILES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("bundles/**/*.md")),
]
PAGES = {str(path.relative_to(ROOT)): read_page(path) for path in FILES}
RUN = [name for name, page in PAGES.items() if page.run_blocks]
BLOCKS = [(name, block) for name, page in PAGES.items() for block in page.blocks]
MOST_NOT_RUN = 18
ALL = os.environ.get("MAMMO_DOCS") == "all"  # as `make test-docs` sets it
# Run by `make test-docs` alone: each costs more than the suite can spare.
SLOW = {
    "bundles/cbis_to_inbreast_mass_faster_rcnn/docs/README.md": "trains as the first stage does",
    "bundles/cbis_to_inbreast_mass_retinanet/docs/README.md": "trains as the first stage does",
    "bundles/coco_to_cbis_mass_faster_rcnn/docs/README.md": "trains for ten seconds",
    "bundles/coco_to_inbreast_mass_retinanet/docs/README.md": "trains as the first stage does",
    "bundles/inbreast_patch_classifier/docs/README.md": "trains as the first stage does",
    "bundles/inbreast_whole_image_classifier/docs/README.md": "trains as the first stage does",
    "docs/explanation/evidence.md": "runs an experiment",
    "docs/explanation/fast-inference.md": "exports the network",
    "docs/explanation/film-parity.md": "marks eight real films twice",
    "docs/explanation/light-recipe.md": "runs experiments",
    "docs/explanation/speed.md": "marks a test list twice",
    "docs/how-to/engines.md": "exports and quantises the network",
    "docs/how-to/experiments.md": "runs experiments",
    "docs/how-to/other-systems.md": "trains five networks",
    "docs/how-to/report.md": "runs an experiment",
    "docs/how-to/sweeps.md": "runs an experiment",
    "docs/how-to/train-on-real-data.md": "trains three times; the tutorial on real data does the like",
}
TIMEOUT_S = 600  # a stuck page must end; a busy machine must not end it


@pytest.mark.parametrize("name", RUN)
def test_a_reader_who_copies_every_block_of_a_page_succeeds(name: str, site: Site, tmp_path: Path) -> None:
    if name in SLOW and not ALL:
        pytest.skip(f"{SLOW[name]}: make test-docs")
    page = PAGES[name] if ALL else PAGES[name].without_slow()
    site.store.enter(page.world, tmp_path / "here", bundle=page.path.parents[1])
    steps = write_steps(page, tmp_path / "steps")
    environment = page_environment(tmp_path / "home", site.clients, site.cache)
    ran = run_steps(steps, tmp_path / "here", environment, timeout_s=TIMEOUT_S)
    told = "".join(f"  {seconds:.1f} {words}\n" for seconds, words in ran.commands)
    sys.stdout.write(f"{ran.cpu_s:.1f} s of processor: {name}\n{told}")
    assert ran.code == 0, f"{name}, block at line {ran.line}, ended with {ran.code}:\n{ran.output[-3000:]}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_begins_in_a_world_there_is(name: str) -> None:
    assert set(PAGES[name].world.split()) <= set(WORLDS)


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_run_by_somebody_or_says_why_not(name: str) -> None:
    unaccounted = [
        f"line {block.line}: {block.run_by}"
        for block in PAGES[name].blocks
        if block.run_by and not _is_run_there(PAGES[name], block)
    ]
    assert unaccounted == []


def _is_run_there(page: Page, block: Block) -> bool:
    """Whether the test named exists and reads the page, or holds the block's commands."""
    test = ROOT / block.run_by
    if not test.is_file():
        return False
    text = " ".join(test.read_text(encoding="utf-8").split())
    names = [str(page.path.relative_to(ROOT))]
    if page.path.name != "README.md":  # every bundle has one
        names += [page.path.name, page.path.parent.name + "/"]
    if any(name in text for name in names):
        return True
    if any(
        command.endswith(f"pytest {test.parent.relative_to(ROOT)}") for command in commands_of(block.text)
    ):
        return True  # the block runs that test itself
    return all(re.sub(r"\s+", " ", command) in text for command in commands_of(block.text))


@pytest.mark.parametrize("name", PAGES)
def test_shown_json_is_json(name: str) -> None:
    for block in PAGES[name].blocks:
        if block.language == "json":
            assert _parsed(block.text), f"line {block.line}"


def _parsed(text: str) -> object:
    """One value, or a row of elements as they stand in a list."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return json.loads(f"[{text}]")


def test_few_blocks_are_run_by_nobody() -> None:
    kinds = Counter(_kind(name, block) for name, block in BLOCKS)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    unrun = [f"{name}, line {block.line}: {block.not_run}" for name, block in BLOCKS if block.not_run]
    sys.stdout.write("\n".join([told, *unrun, ""]))
    assert len(unrun) <= MOST_NOT_RUN, "\n".join(unrun)
    assert kinds["run by its page's test"] > 100


def _kind(name: str, block: Block) -> str:
    if block.is_run:
        return "run by its page's test, slow" if block.slow or name in SLOW else "run by its page's test"
    if block.run_by:
        return "run by another test"
    if block.not_run:
        return "not run"
    return f"{block.language}, shown"
