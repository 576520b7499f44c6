"""What every command says of a disk that fails."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.faults.verbs import Outcome

REMEDY = re.compile(
    r"Make room|[Cc]hoose (another|a folder)|another folder|[Ww]rite to another disk|still there"
)


def assert_told(outcome: Outcome, out: Path, number: int) -> None:
    """Exit code 2, and one line that names a file of `out`, what happened, and what to do."""
    assert outcome.code == 2, outcome
    assert "\n" not in outcome.error, outcome
    assert str(out) in outcome.error, outcome
    assert os.strerror(number) in outcome.error, outcome
    assert REMEDY.search(outcome.error), outcome
