"""How-to pages that need OHIF, MONAI Label or MONAI Deploy, run as they are written, ports apart."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clinic.label_server import why_no_monai_label
from tests.docs.running import Ran, page_environment, run_steps
from tests.docs.snippets import Block, read_page
from tests.docs.steps import write_steps
from tests.docs.worlds import ROOT, Store

THIS = "tests/clinic/test_how_to.py"
PAGES = ROOT / "docs" / "how-to"
UNTIL = "& until curl -sf {url} > /dev/null; do kill -0 $!; sleep 0.5; done; kill $!; wait $! || true"
Follow = Callable[..., Ran]


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    """Runs all blocks of a page that name this file, and those it runs itself, in a clone with its world."""

    def run(name: str, replaced: Mapping[str, str]) -> Ran:
        page = read_page(PAGES / name)
        here = tmp_path / "here"
        Store(tmp_path / "parts", ROOT / ".venv" / "bin" / "mammo-monai").enter(page.world, here)
        for each in (".venv-label", ".venv-deploy", "Makefile", "scripts", "build"):
            if (ROOT / each).exists() and not (here / each).exists():
                (here / each).symlink_to(ROOT / each)
        blocks = [_ours(each, replaced) for each in page.blocks if each.run_by == THIS or each.is_run]
        steps = write_steps(replace(page, blocks=tuple(blocks)), tmp_path / "steps")
        environment = page_environment(tmp_path / "home", ROOT / ".venv" / "bin", tmp_path / "cache")
        ran = run_steps(steps, here, environment, timeout_s=1500)
        assert ran.code == 0, (
            f"{name}, block at line {ran.line}, ended with {ran.code}:\n{ran.output[-3000:]}"
        )
        return ran

    return run


def _ours(block: Block, replaced: Mapping[str, str]) -> Block:
    text = block.text
    for old, new in replaced.items():
        text = re.sub(old, new, text)
    return replace(block, text=text, run_by="", quick=())


def test_ohif_shows_the_report_as_the_page_says(
    follow: Follow, ohif: Path, free_port: Callable[[], int], tmp_path: Path
) -> None:
    port = free_port()
    served = f"--port {port} " + UNTIL.format(url=f"http://127.0.0.1:{port}/")
    follow("viewer.md", {r"(?m)^(.*--dicomweb \S+)$": rf"\g<1> {served}"})
    assert (tmp_path / "here" / "ohif.jpg").stat().st_size > 10_000


@pytest.mark.skipif(why_no_monai_label() is not None, reason=str(why_no_monai_label()))
def test_monai_label_serves_as_the_page_says(follow: Follow, free_port: Callable[[], int]) -> None:
    port = free_port()
    served = f"--port {port} " + UNTIL.format(url=f"http://127.0.0.1:{port}/info/")
    follow(
        "monai-label.md",
        {r"(?m)^(monailabel start_server .*)$": rf"\g<1> {served}", "make label-env": "make -n label-env"},
    )


@pytest.mark.skipif(not (ROOT / ".venv-deploy").exists(), reason="`make deploy-env` has not been run")
def test_monai_deploy_marks_as_the_page_says(follow: Follow, tmp_path: Path) -> None:
    follow("monai-deploy.md", {"make deploy-env": "make -n deploy-env"})
    assert list((tmp_path / "here" / "output").glob("sr-*.dcm"))
    assert subprocess.run(["make", "-n", "deploy-env"], cwd=ROOT, check=False).returncode == 0
