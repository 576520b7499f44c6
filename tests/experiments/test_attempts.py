"""A run's time is that of all its attempts; a killed one counts to its last sign of life."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mammo_monai.experiments.attempts import Attempts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "attempts.json"


def clock(*times: float) -> Iterator[float]:
    return iter(times)


def test_all_attempts_of_a_step_are_added(path: Path) -> None:
    times = clock(100, 130, 200, 207, 300, 301)
    for step in ("training", "training", "prediction"):
        with Attempts(path, timer=lambda: next(times)).timed(step):
            pass
    attempts = Attempts(path)
    assert (attempts.seconds("training"), attempts.seconds("prediction")) == (37, 1)
    assert attempts.seconds("scoring") == 0


def test_a_step_that_fails_is_timed_too(path: Path) -> None:
    times = clock(10, 14)
    with pytest.raises(RuntimeError), Attempts(path, timer=lambda: next(times)).timed("training"):
        raise RuntimeError
    assert Attempts(path).seconds("training") == 4


def test_a_killed_attempt_counts_to_the_last_file_written(path: Path) -> None:
    path.write_text(json.dumps([{"step": "training", "began": 1000.0, "seconds": None}]))
    inner = path.parent / "weights" / "checkpoint_last.pt"
    inner.parent.mkdir()
    for each, time in ((inner, 1250.0), (path, 9000.0), (path.parent / ".lock", 9000.0)):
        each.touch()
        os.utime(each, (time, time))
    attempts = Attempts(path)
    assert attempts.seconds("training") == 0
    attempts.close_killed()
    assert attempts.seconds("training") == 250


def test_a_killed_attempt_that_wrote_nothing_counts_nothing(path: Path) -> None:
    path.write_text(json.dumps([{"step": "training", "began": 1000.0, "seconds": None}]))
    attempts = Attempts(path)
    attempts.close_killed()
    assert attempts.seconds("training") == 0


@pytest.mark.parametrize(
    "text", ["{", "5", '{"step": 1}', "[1]", '[{"step": "training"}]', '[{"step": "a", "began": 1}]']
)
def test_a_file_that_cannot_be_read_counts_as_empty(path: Path, text: str) -> None:
    path.write_text(text)
    assert Attempts(path).rows == []
