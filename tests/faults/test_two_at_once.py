"""Two commands with the same output at the same moment: both finish whole, or the second is told why not."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from mammo_monai.schema import Action, Finding, read_audit, write_audit
from tests.faults.verbs import VERBS, Outcome, Verb, contents

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork"),
]


def both(run: Callable[[int], Outcome]) -> list[Outcome]:
    """What two forked processes that start at one moment say; `run` gets their numbers."""
    ready, start = os.pipe(), os.pipe()
    results = []
    for number in range(2):
        answer = os.pipe()
        if os.fork() == 0:
            os.write(ready[1], b".")
            os.close(start[1])
            os.read(start[0], 1)  # ends when the parent closes its end
            outcome = Outcome(99, "raised")
            try:
                outcome = run(number)
            except BaseException:  # what nobody expected is told whole
                outcome = Outcome(99, traceback.format_exc())
            finally:
                os.write(answer[1], f"{outcome.code} {outcome.error}".encode())
                os._exit(0)
        os.close(answer[1])
        results.append(answer[0])
    while len(os.read(ready[0], 1)) + len(os.read(ready[0], 1)) < 2:
        pass
    for end in (start[1], start[0], *ready):
        os.close(end)
    said = []
    for descriptor in results:
        with os.fdopen(descriptor, "rb") as stream:
            code, error = stream.read().decode().split(" ", 1)
        said.append(Outcome(int(code), error))
        os.wait()
    return said


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_two_runs_into_one_output_neither_mix_nor_lose(verb: Verb, material: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "both"
    for each in (whole, out):
        verb.begin(material, each)
    assert verb.run(material, whole).code == 0
    outcomes = both(lambda _: verb.run(material, out))
    assert 0 in {each.code for each in outcomes}, outcomes
    for each in outcomes:
        told = r"another|is there already|exists|works (there|in this folder)"
        assert each.code == 0 or re.search(told, each.error), outcomes
    assert contents(out, verb.varies) == contents(whole, verb.varies)


def test_findings_of_two_manifests_in_one_folder_are_all_kept(tmp_path: Path) -> None:
    def write(number: int) -> Outcome:
        for n in range(40):
            write_audit(tmp_path / "audit.csv", f"{number}-{n}.json", [Finding("c", "r", "f", Action.WARNED)])
        return Outcome(0, "")

    assert [each.code for each in both(write)] == [0, 0]
    assert len(read_audit(tmp_path / "audit.csv")) == 80
    assert [each.name for each in tmp_path.iterdir()] == ["audit.csv"]
