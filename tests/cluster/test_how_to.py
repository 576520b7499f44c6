"""The page on clusters, its block for this machine run as it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.running import page_environment, run_steps
from tests.docs.snippets import read_page
from tests.docs.steps import write_steps
from tests.docs.worlds import ROOT, Store

THIS = "tests/cluster/test_how_to.py"


def test_a_local_cluster_marks_as_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    page = read_page(ROOT / "docs" / "how-to" / "cluster.md")
    blocks = tuple(replace(each, run_by="") for each in page.blocks if each.run_by == THIS)
    assert blocks
    programs = Path(ROOT / ".venv" / "bin")
    Store(tmp_path / "parts", programs / "mammo-monai").enter(page.world, tmp_path / "here")
    steps = write_steps(replace(page, blocks=blocks), tmp_path / "steps")
    environment = page_environment(tmp_path / "home", programs, tmp_path / "cache")
    ran = run_steps(steps, tmp_path / "here", environment, timeout_s=900)
    assert ran.code == 0, ran.output[-3000:]
    assert (tmp_path / "here" / "shared" / "screening.parquet" / "model.json").is_file()
