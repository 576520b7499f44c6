"""Executes inputs under a supervisor's eyes: noted before, reported after, kept when they fail."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.corpus import name_of, save
from tests.fuzz.harness import Kind, Outcome, Target, execute
from tests.fuzz.memory import resident_bytes
from tests.fuzz.slot import Running, Slot

# A fault that many inputs bring out is kept a few times, not a hundred thousand times.
_KEPT_PER_SHAPE = 3
_LONGEST_MESSAGE = 600  # a report must pass a pipe in one piece


@dataclass(frozen=True)
class Report:
    """One execution, as it is counted.

    Attributes:
        message: of a failure. input_name: of a failure whose input was kept.
    """

    index: int
    kind: Kind
    error: str
    seconds: float
    peak_bytes: int
    message: str = ""
    input_name: str = ""


class Judge:
    """Reports each execution to a pipe."""

    def __init__(self, target: Target, folder: Path, pipe: int, *, time_limit_s: float) -> None:
        self._target, self._failures, self._pipe = target, failures_folder(folder), pipe
        self._time_limit_s = time_limit_s
        self._slot = Slot(folder / "slot")
        self._failed: Counter[str] = Counter()

    def __call__(self, index: int, data: bytes) -> Outcome:
        """Executes one input and reports it under its number."""
        self._slot.begin(Running(index, time.monotonic(), resident_bytes(), len(data)), data)
        outcome = execute(self._target, data, time_limit_s=self._time_limit_s)
        name = ""
        if outcome.kind == "failed":
            self._failed[outcome.shape] += 1
            if self._failed[outcome.shape] <= _KEPT_PER_SHAPE:
                name = name_of(data)
                save(self._failures / name, data)
        report = Report(
            index,
            outcome.kind,
            outcome.error,
            round(outcome.seconds, 6),
            outcome.peak_bytes,
            outcome.message[:_LONGEST_MESSAGE] if outcome.kind == "failed" else "",
            name,
        )
        os.write(self._pipe, json.dumps(list(asdict(report).values())).encode() + b"\n")
        self._slot.clear()
        return outcome


def failures_folder(folder: Path) -> Path:
    """Where a campaign keeps the inputs that failed: `OUT/failures/TARGET`."""
    return folder.parent / "failures" / folder.name
