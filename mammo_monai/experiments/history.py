"""Loss and validation figure of each epoch, from the log of a training."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NUMBER = r"(nan|[-+.\deE]+)"
_LINE = re.compile(rf": epoch (\d+)/(\d+), loss {_NUMBER}(?:, (\w+) {_NUMBER})?, ")


@dataclass(frozen=True)
class Epoch:
    """One epoch: its mean loss; `figure` is the validation's, None where the epoch was not validated."""

    epoch: int
    epochs: int
    loss: float
    figure: float | None = None


def read_history(log: Path) -> list[Epoch]:
    """The epochs that a training has logged, over all its attempts; none where there is no log."""
    if not log.is_file():
        return []
    with log.open(encoding="utf-8", errors="replace") as lines:
        return epochs_of(lines)


def epochs_of(lines: Iterable[str]) -> list[Epoch]:
    """The epochs that log lines tell of; one done again, after a kill, replaces all from it on.

    >>> line = "training: epoch 3/13, loss 0.4120, mean_sensitivity 0.713, 300 s per epoch, 50:00 left"
    >>> epochs_of([line, "something else"])
    [Epoch(epoch=3, epochs=13, loss=0.412, figure=0.713)]
    """
    epochs: list[Epoch] = []
    for line in lines:
        if found := _LINE.search(line):
            number, figure = int(found[1]), float(found[5] or "nan")
            epochs = [each for each in epochs if each.epoch < number]
            known = None if math.isnan(figure) else figure
            epochs.append(Epoch(number, int(found[2]), float(found[3]), known))
    return epochs
