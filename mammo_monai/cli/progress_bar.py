"""The bars verbs show on a terminal, with the time left; elsewhere log lines say how far a run is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammo_monai.inference import Progress


@contextmanager
def counting_bar(what: str, unit: str = "image") -> Iterator[Callable[[int, int], None] | None]:
    """A bar for a function that calls back with (done, total); None without a terminal.

    It is drawn at the first call, so that an error is alone on its line; what was done by then does not count
    as fast. It begins anew when `done` falls back, for the next round of the same work.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bars: list[tqdm[Any]] = []

    def show(done: int, total: int) -> None:
        if bars and done < bars[-1].n:
            bars.pop().close()
        if not bars:
            bars.append(tqdm(desc=what, unit=unit, initial=max(done - 1, 0), total=total))
        bars[-1].update(done - bars[-1].n)

    try:
        yield show
    finally:
        for each in bars:
            each.close()


def image_bar() -> Callable[[Progress], None] | None:
    """What `Predictor` calls after each image: a bar with the time left, or None without a terminal.

    It is drawn at the first image, so that an error before it is alone on its line.
    """
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bars: list[tqdm[Any]] = []

    def show(progress: Progress) -> None:
        if not bars:
            # Images done before this run must not count as fast ones.
            before = progress.done - 1
            bars.append(tqdm(unit="image", desc="predicting", initial=before, total=progress.total))
        bars[0].update(progress.done - bars[0].n)
        if progress.done == progress.total:
            bars[0].close()

    return show
