"""Refuses an output that would overwrite what its own command reads, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def refuse_overwriting(output: Path | None, inputs: Iterable[Path | str | None]) -> None:
    """Does nothing, unless the output is one of the inputs; links are followed.

    Args:
        output, inputs: None for options that were not given.

    Raises:
        ValueError: the output is an input.

    >>> refuse_overwriting(Path("run/metrics.json"), [None, "run/detections.json"])
    """
    if output is not None and output.resolve() in {Path(each).resolve() for each in inputs if each}:
        raise ValueError(f"{output}: would overwrite a file that is read. Give another output.")
