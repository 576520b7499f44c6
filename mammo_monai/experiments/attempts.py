"""How long a run took, over all its attempts: a killed one counts until its last sign of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mammo_monai.files import write_json_atomic
from mammo_monai.schema.json_text import json_value


class Attempts:
    """The starts of steps in a run's folder, kept in a file that is rewritten as a whole.

    Args:
        path: the file, `[{"step", "began", "seconds"}, …]`; `began` in seconds since 1970, `seconds` null
            while the step runs. One that cannot be read counts as empty: it decides no result.
        timer: seconds that a jump of the clock does not change.
    """

    def __init__(self, path: Path, timer: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.timer = timer
        self.rows: list[dict[str, Any]] = []
        with suppress(OSError, ValueError):
            rows = json_value(path.read_bytes())
            self.rows = rows if isinstance(rows, list) and all(map(_is_row, rows)) else []

    def close_killed(self) -> None:
        """Gives attempts that never ended the time until the last file of the folder was written."""
        files = [each for each in self.path.parent.rglob("*") if each.is_file() and each != self.path]
        last = max((each.stat().st_mtime for each in files if each.name[0] != "."), default=0.0)
        for row in self.rows:
            if row["seconds"] is None:
                row["seconds"] = max(0.0, last - row["began"])

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Notes the start of a step now and its length when the block ends, also by an error."""
        row: dict[str, Any] = {"step": step, "began": time.time(), "seconds": None}
        began_s = self.timer()
        self.rows.append(row)
        write_json_atomic(self.path, self.rows)
        try:
            yield
        finally:
            row["seconds"] = self.timer() - began_s
            write_json_atomic(self.path, self.rows)

    def seconds(self, step: str) -> float:
        """Wall time of all ended attempts of a step."""
        return float(sum(row["seconds"] or 0.0 for row in self.rows if row["step"] == step))


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("step"), str)
        and isinstance(row.get("began"), int | float)
        and isinstance(row.get("seconds", ""), int | float | None)
    )
