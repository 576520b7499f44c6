"""What a fuzz run counts, per target: kept on disk while it runs, and written as a table when it ends."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mammo_monai.files import write_text_atomic
from tests.fuzz.judge import Report

_LISTED_FAILURES = 100


@dataclass
class Tally:
    """Counts of one target.

    Attributes:
        own, guided: executions done by our own mutator, and with coverage guidance.
        refused: how often each error class was raised. failed: executions, the first of which are listed.
        running_s: time during which the target was being executed, over all continuations of the run.
    """

    target: str
    own: int = 0
    guided: int = 0
    returned: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    failures: list[dict[str, object]] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_bytes: int = 0
    running_s: float = 0.0

    @property
    def executions(self) -> int:
        """All that was done so far."""
        return self.own + self.guided

    def count(self, report: Report, *, is_guided: bool) -> None:
        """Adds one execution."""
        if is_guided:
            self.guided += 1
        else:
            self.own += 1
        self.slowest_s = max(self.slowest_s, report.seconds)
        self.peak_bytes = max(self.peak_bytes, report.peak_bytes)
        if report.kind == "returned":
            self.returned += 1
        elif report.kind == "refused":
            self.refused[report.error] = self.refused.get(report.error, 0) + 1
        else:
            self.failed += 1
            if len(self.failures) < _LISTED_FAILURES:
                self.failures.append(
                    {"index": report.index, "guided": is_guided, "input": report.input_name}
                    | {"error": report.error, "message": report.message}
                )


def load_tally(path: Path, target: str) -> Tally:
    """The counts of a run that was interrupted, or none yet."""
    return Tally(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Tally(target)


def save_tally(path: Path, tally: Tally) -> None:
    """Writes the counts whole, so that the same command can go on after a kill."""
    write_text_atomic(path, json.dumps(asdict(tally), indent=1))


def write_figures(path: Path, tallies: list[Tally], corpus_sizes: dict[str, int]) -> None:
    """The table: one row per target, with the command and the machine that made it."""
    rows = [
        {
            "target": tally.target,
            "executions": tally.executions,
            "of_these_coverage_guided": tally.guided,
            "returned": tally.returned,
            "refused": dict(sorted(tally.refused.items())),
            "failures": tally.failed,
            "slowest_s": round(tally.slowest_s, 3),
            "peak_mib": round(tally.peak_bytes / (1 << 20), 1),
            "corpus_files": corpus_sizes.get(tally.target, 0),
            "executions_per_s": round(tally.executions / tally.running_s, 1) if tally.running_s else 0.0,
        }
        for tally in tallies
    ]
    machine = {
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
    command = " ".join(["python -m tests.fuzz.run", *sys.argv[1:]])
    write_text_atomic(path, json.dumps({"command": command, "machine": machine, "rows": rows}, indent=1))
