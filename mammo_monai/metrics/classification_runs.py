"""A classifier trained several times: mean and standard deviation of its figures over the runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammo_monai.metrics.classification import ClassificationFigures, FigureName


@dataclass(frozen=True)
class RunsFigure:
    """A figure over runs.

    Attributes:
        values: of each run. mean: over runs, NaN where one is undefined. sd: with n − 1; NaN with one run.
    """

    name: FigureName
    values: tuple[float, ...]
    mean: float
    sd: float


def summarise_runs(runs: Sequence[ClassificationFigures]) -> tuple[RunsFigure, ...]:
    """Mean ± SD over runs, as P3 reports five trainings of each network.

    The SD says how much chance in training moves a figure, not how sure it is of other patients: that is each
    run's interval.

    Raises:
        ValueError: no run.
    """
    if not runs:
        raise ValueError("a summary needs at least one run, got none.")
    rows = []
    for name in runs[0].figures:
        values = [run.figures[name].value for run in runs]
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        rows.append(RunsFigure(name, tuple(values), float(np.mean(values)), sd))
    return tuple(rows)
