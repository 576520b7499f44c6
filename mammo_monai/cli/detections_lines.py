"""What `mammo-monai detections` says of the marks it brought: what was done to them, and what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mammo_monai.words import counted


def lines_of(made: Any, manifest: Path, output: Path, split: str | None) -> list[str]:
    """Lines for people, of a `ForeignDetections`; the last one is the next command."""
    lines = []
    if made.n_unmarked:
        unnamed = f"; {made.n_unnamed} of them the source does not name" if made.n_unnamed else ""
        lines.append(f"without a mark: {counted(made.n_unmarked, 'image')}, as empty entries{unnamed}")
    changed = _listed(
        (sum(each.is_rescaled for each in made.placed), "image", "scaled back to the original size"),
        (sum(each.n_clipped for each in made.placed), "box", "cut at the border"),
        (sum(each.n_empty for each in made.placed), "box", "without area, kept"),
    )
    left_out = _listed(
        (made.n_elsewhere, "mark", "on images of other lists"),
        (made.n_unknown, "mark", "on images that the manifest does not hold"),
        (sum(each.n_ignored for each in made.placed), "mark", "of a class that is no lesion"),
    )
    lines += [f"changed: {changed}"] if changed else []
    lines += [f"left out: {left_out}"] if left_out else []
    low, high = made.score_range
    if low < 0 or high > 1:
        lines.append(
            f"scores from {low:g} to {high:g}, as they came: FROC needs their order alone; calibrate, fuse "
            "and DICOM results need 0 to 1"
        )
    words = ["mammo-monai", "evaluate", str(output), "--manifest", str(manifest)]
    words += ["--split", split] if split else []
    return [*lines, f"next: {shlex.join([*words, '-o', 'metrics.json'])}"]


def _listed(*counts: tuple[int, str, str]) -> str:
    """Those that are not 0, in words."""
    said: Sequence[str] = [f"{counted(number, noun)} {words}" for number, noun, words in counts if number]
    return ", ".join(said)
