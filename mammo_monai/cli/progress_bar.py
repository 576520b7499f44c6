"""The bar verbs show on a terminal; elsewhere the library's log lines say how far a run is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mammo_monai.inference import Progress


def image_bar() -> Callable[[Progress], None] | None:
    """What `Predictor` calls after each image: a bar with the time left, or None without a terminal."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar = tqdm(unit="image", desc="predicting")

    def show(progress: Progress) -> None:
        if bar.total is None:
            # Images done before this run must not count as fast ones.
            bar.initial = bar.n = progress.done - 1
            bar.total = progress.total
        bar.update(progress.done - bar.n)
        if progress.done == progress.total:
            bar.close()

    return show
