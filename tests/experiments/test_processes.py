"""What a step's process imports is what its runner would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mammo_monai.experiments.processes import COMMAND

STEP = """
import random

def main(line):
    print(line.strip(), random.random() < 1)
    return 7
"""


@pytest.mark.parametrize("name", ["os", "threading", "random", "mammo_monai"])
def test_nothing_in_the_current_folder_takes_a_modules_place(name: str, tmp_path: Path) -> None:
    """Source: docs.python.org, "Command line and environment", -c: the current folder comes first."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    package = tmp_path / "path" / "mammo_monai" / "experiments"
    package.mkdir(parents=True)
    (package / "step.py").write_text(STEP)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    command = [*COMMAND[:-1], "\n".join([str(tmp_path / "path"), *sys.path])]
    started = subprocess.Popen(
        command, cwd=tmp_path / "here", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with started as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("the step\n")
        process.stdin.flush()  # and stays open: a step ends when its runner does
        assert process.stdout.read() == "the step True\n"
        assert process.wait() == 7


def test_the_path_is_that_of_the_runner() -> None:
    assert str(Path(__file__).parents[2]) in COMMAND[-1].split("\n")
