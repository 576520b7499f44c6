"""The fuzzing itself: what must be a failure is one, and the run goes on behind it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from tests.fuzz.corpus import MAX_FILE_BYTES, MAX_FILES, MAX_FOLDER_BYTES, grow, name_of, stored_inputs
from tests.fuzz.figures import Tally, write_figures
from tests.fuzz.harness import Target, execute
from tests.fuzz.misbehaving import FAILURES, TARGETS, WELL_BEHAVED
from tests.fuzz.mutations import MAX_INPUT_BYTES, mutated
from tests.fuzz.supervision import Campaign, Plan
from tests.fuzz.targets import find_target

MISBEHAVING = "tests.fuzz.misbehaving:misbehaving"
_ECHO = "tests.fuzz.misbehaving:echo"
IN_PROCESS = (
    *(b"raise another error", b"exit like a program", b"refuse without a name", b"quote all of it"),
    *(b"write outside", b"remove outside by a descriptor", b"start a process"),
)


def finished(campaign: Campaign, limit_s: float = 60.0) -> Campaign:
    began = time.monotonic()
    while not campaign.is_done:
        campaign.poll()
        time.sleep(0.005)
        assert time.monotonic() - began < limit_s
    campaign.stop()
    return campaign


@pytest.mark.parametrize("wish", IN_PROCESS)
def test_what_python_can_see_fails_in_the_process(wish: bytes) -> None:
    outcome = execute(TARGETS[0], wish)
    assert outcome.kind == "failed"
    assert FAILURES[wish] in outcome.message


def test_a_result_and_a_refusal_that_names_the_file_are_right() -> None:
    assert [execute(TARGETS[0], wish).kind for wish in WELL_BEHAVED] == ["returned", "refused", "returned"]


def test_an_execution_that_takes_too_long_fails() -> None:
    slow = Target("slow", ".txt", lambda _: time.sleep(0.05), list)
    assert "took 0.1 s" in execute(slow, b"", time_limit_s=0.01).message
    assert execute(slow, b"").kind == "returned"


def test_hangs_crashes_and_memory_are_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    inputs = [*WELL_BEHAVED, *FAILURES]
    plan = Plan(own=len(inputs), guided=0, time_limit_s=1.5, memory_limit_bytes=200 << 20)
    tally = finished(Campaign(MISBEHAVING, tmp_path, plan)).tally
    assert (tally.own, tally.returned, tally.refused) == (len(inputs), 2, {"DicomError": 1})
    told = {inputs[int(str(each["index"]))]: str(each["message"]) for each in tally.failures}
    assert told.keys() == FAILURES.keys() - {b"allocate"} | ({b"allocate"} & told.keys())
    for wish, message in told.items():
        assert FAILURES[wish] in message or (wish == b"allocate" and "killed" in message)
    kept = {path.read_bytes() for path in (tmp_path / "failures" / "misbehaving").iterdir()}
    assert kept == told.keys()


def test_a_run_that_was_interrupted_goes_on_with_the_same_inputs(tmp_path: Path) -> None:
    """Killed after some executions or not: the same counts and the same pool."""
    whole = finished(Campaign(_ECHO, tmp_path / "whole", Plan(own=300, guided=0))).tally
    for own in (100, 300):
        finished(Campaign(_ECHO, tmp_path / "parts", Plan(own=own, guided=0)))
    parts = json.loads((tmp_path / "parts" / "echo" / "state.json").read_text())
    assert (parts["own"], parts["returned"], parts["refused"]) == (300, whole.returned, whole.refused)
    joined = [folder / "echo" / "joined" / "joined.jsonl" for folder in sorted(tmp_path.iterdir())]
    assert joined[0].read_text() == joined[1].read_text() != ""


def test_mutations_are_the_same_for_the_same_seed_and_bounded() -> None:
    def made(seed: int) -> list[bytes]:
        drawn = random.Random(seed)
        return [
            mutated(b"abc123" * 50, drawn, others=[b"x" * 900], dictionary=(b"token",)) for _ in range(200)
        ]

    assert made(1) == made(1) != made(2)
    assert len(set(made(1))) > 150
    assert max(map(len, made(1))) < MAX_INPUT_BYTES


def test_the_corpus_grows_within_its_limits(tmp_path: Path) -> None:
    inputs = [bytes([number % 256]) * (100 * number + 1) for number in range(300)]
    assert grow("any", inputs, tmp_path) == len(stored_inputs("any", tmp_path)) <= MAX_FILES
    assert grow("any", inputs, tmp_path) == 0
    sizes = [len(data) for data in stored_inputs("any", tmp_path).values()]
    assert max(sizes) <= MAX_FILE_BYTES
    assert sum(sizes) <= MAX_FOLDER_BYTES
    assert all(name == name_of(data) for name, data in stored_inputs("any", tmp_path).items())


def test_figures_name_the_command_the_machine_and_each_target(tmp_path: Path) -> None:
    tally = Tally("one", own=3, guided=2, returned=4, refused={"DicomError": 1}, running_s=2.0)
    write_figures(tmp_path / "figures.json", [tally], {"one": 7})
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["command"].startswith("python -m tests.fuzz.run")
    assert figures["machine"]["cpu_count"] > 0
    (row,) = figures["rows"]
    assert (row["executions"], row["failures"], row["corpus_files"], row["executions_per_s"]) == (
        5,
        0,
        7,
        2.5,
    )


def test_an_unknown_target_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="none"):
        find_target("tests.fuzz.misbehaving:none")
