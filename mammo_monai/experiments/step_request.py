"""What a step's process is asked to do: one line of JSON from the runner; no torch needed to write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

TRAINING, PREDICTION = "training", "prediction"


@dataclass(frozen=True)
class Step:
    """What a process is to do.

    Attributes:
        kind: `training` or `prediction`.
        bundle: its folder.
        overrides: ids and values, folders and manifest among them.
        report: the JSON file for what the step measures of itself, written when it is done.
        environment: the JSON file for what it ran on, under its kind.
        budget_iterations: sets the epochs of a training, to the nearest whole one; None leaves them.
        is_trusted: the bundle runs though it does more than is known.
    """

    kind: str
    bundle: str
    overrides: Mapping[str, Any]
    report: str
    environment: str
    budget_iterations: int | None = None
    is_trusted: bool = False

    def as_line(self) -> str:
        """The line of JSON that the process reads."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def of_line(line: str) -> Step:
        """The step of a line."""
        return Step(**json.loads(line))
