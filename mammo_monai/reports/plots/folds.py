"""The mean FROC curve over the folds of a run, with its band, on the FPPI axis of the plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammo_monai.reports.runs import Run

if TYPE_CHECKING:  # scipy takes long to import, and most pages have no folds
    from mammo_monai.metrics.fold_summary import FoldSummary

FPPI_RANGE = (0.1, 5.0)
_N_POINTS = 181


def has_band(runs: Sequence[Run]) -> bool:
    """Whether some run has two folds that hold lesions, the least that a spread can be of."""
    return any(len(_scored(run)) > 1 for run in runs)


def fold_band(run: Run) -> FoldSummary | None:
    """Mean, band and each fold's own curve; None where fewer than two folds hold a lesion.

    Folds without a lesion are left out: they define no sensitivity.

    Raises:
        ManifestError: the folds were scored by different rules or on different lists, or share an image.
    """
    folds = _scored(run)
    if len(folds) < 2:
        return None
    from mammo_monai.metrics.fold_summary import summarise_folds  # noqa: PLC0415  # see above

    grid = np.geomspace(*FPPI_RANGE, _N_POINTS).tolist()
    return summarise_folds({name: {"images": {}, **each.metrics} for name, each in folds.items()}, fppi=grid)


def _scored(run: Run) -> dict[str, Run]:
    """The folds with lesions, numbered from 1 among all."""
    return {str(n): fold for n, fold in enumerate(run.folds, start=1) if has_curve(fold)}


def has_curve(run: Run) -> bool:
    """A run without lesions has none, nor one of a model that scores whole images."""
    return bool(run.metrics["n_lesions"] and run.metrics["froc"]["fppi"])
