"""The recipes of docs/contributing work to the letter on a copy of the tree; what fits nowhere, fails."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.site import Site, site  # a fixture
from tests.recipes.follow import ROOT, RecipeError, copied_tree, edited, follow, steps_of

__all__ = ["site"]
PAGES = ROOT / "docs" / "contributing"
RECIPES = ("add-a-data-set", "add-a-detector", "add-a-metric", "add-a-bundle")


def followed(name: str, tree: Path, site: Site) -> str:
    """What the page's commands print, in a copy of the tree; what it wrote keeps to the architecture."""
    page = PAGES / f"{name}.md"
    printed = follow(page, copied_tree(tree), site.clients)
    touched = {step.path for step in steps_of(page.read_text(encoding="utf-8")) if step.kind != "run"}
    library = [path for path in touched if re.fullmatch(r"mammo_monai/.*\.py", path)]
    faults = [
        fault
        for check in architecture(tree).CHECKS
        for path in library
        for fault in check(path, (tree / path).read_text(encoding="utf-8"))
    ]
    assert faults == []
    return printed


def architecture(tree: Path) -> Any:
    """The tree's own checks of its architecture, as the page has edited them."""
    spec = importlib.util.spec_from_file_location("architecture", tree / "tests" / "test_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_a_new_data_set_becomes_a_manifest(tmp_path: Path, site: Site) -> None:
    tree, printed = tmp_path, followed("add-a-data-set", tmp_path, site)
    (film, normal) = json.loads((tree / "manifest.json").read_text())["test"]
    assert film["box"] == [[100.0, 200.0, 180.0, 300.0]]
    assert normal["box"] == []
    assert shown_output(PAGES / "add-a-data-set.md") in printed


def test_a_new_detector_trains_and_marks(tmp_path: Path, site: Site) -> None:
    tree = tmp_path
    followed("add-a-detector", tree, site)
    found = json.loads((tree / "detections.json").read_text())
    assert len(found["detections"]) > 0
    assert found["model"]["bundle"] == "centre_net"


def test_a_new_metric_stands_in_the_file_and_in_the_report(tmp_path: Path, site: Site) -> None:
    tree = tmp_path
    followed("add-a-metric", tree, site)
    metrics = json.loads((tree / "metrics.json").read_text())
    assert metrics["box_fit"]["points"]
    assert "How well boxes that hit fit their lesion" in (tree / "report.html").read_text()


def test_a_new_bundle_is_without_faults_and_trains(tmp_path: Path, site: Site) -> None:
    tree = tmp_path
    followed("add-a-bundle", tree, site)
    assert (tree / "run" / "model.safetensors").is_file()


def shown_output(page: Path) -> str:
    """What the page says its commands print."""
    (shown,) = re.findall(r"```text\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(shown)


@pytest.mark.parametrize("name", RECIPES)
def test_contributing_leads_to_every_recipe(name: str) -> None:
    assert f"docs/contributing/{name}.md" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    kinds = {step.kind for step in steps_of((PAGES / f"{name}.md").read_text(encoding="utf-8"))}
    assert kinds == {"write", "edit", "run"}


def test_an_edit_fits_in_one_place_or_fails() -> None:
    assert edited("a\nb\na\n", "-b\n+c\n@@\n c\n+d\n") == "a\nc\nd\na\n"
    for diff in ("-gone\n+c\n", "-a\n+c\n", "a\n"):
        with pytest.raises(RecipeError):
            edited("a\nb\na\n", diff)


def test_a_command_that_fails_stops_the_recipe(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Write `new.txt`:\n\n```text\nx\n```\n\n```bash\ncat new.txt | grep y\n```\n")
    with pytest.raises(RecipeError, match="exit code 1"):
        follow(page, tmp_path)
    with pytest.raises(RecipeError, match="is there already"):
        follow(page, tmp_path)
