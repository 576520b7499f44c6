"""Patients drawn with replacement, or swapped: the one bootstrap and the one permutation of all figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mammo_monai.metrics.rule import FrocRule

_CELLS = 4_000_000  # numbers held at once while resampling: 32 MB
# Figures are shares and means of counts: far coarser than this, which only absorbs rounding.
ROUNDING = 1e-9


def patient_draws(n_patients: int, rule: FrocRule, *, width: int = 1) -> Iterator[NDArray[np.int64]]:
    """How often each patient was drawn, in blocks of shape (B, P), `rule.n_bootstrap` rows in all.

    None with fewer than two patients: resampling says nothing there. The draws depend on the seed and on the
    number of patients alone, so figures of the same images are resampled together; they are those of
    `sensitivity_intervals`.

    Args:
        n_patients: P. width: numbers that one row needs beside its weights; more make the blocks smaller.

    Source: Efron & Tibshirani, 1993; the patient as the unit: protocol §2.

    >>> [block.sum(axis=1).tolist() for block in patient_draws(3, FrocRule(n_bootstrap=2))]
    [[3, 3]]
    """
    if n_patients < 2:
        return
    generator = np.random.default_rng(rule.seed)
    for size in block_sizes(rule.n_bootstrap, max(n_patients, width)):
        chosen = generator.integers(n_patients, size=(size, n_patients))
        chosen += n_patients * np.arange(size)[:, None]
        yield np.bincount(chosen.ravel(), minlength=size * n_patients).reshape(size, n_patients)


def patient_swaps(
    n_patients: int, rule: FrocRule, n_permutations: int, *, width: int = 1
) -> Iterator[NDArray[np.bool_]]:
    """In which patients two models are swapped, by the toss of a coin, in blocks of shape (B, P).

    Args:
        n_patients: P. n_permutations: rows in all.
        width: numbers that one row needs beside its tosses; more make the blocks smaller.

    >>> [block.shape for block in patient_swaps(3, FrocRule(), 5)]
    [(5, 3)]
    """
    generator = np.random.default_rng(rule.seed)
    for size in block_sizes(n_permutations, max(2 * n_patients, width)):
        yield generator.integers(2, size=(size, n_patients)).astype(bool)


def permutation_p_value(difference: float, swaps: NDArray[np.float64]) -> tuple[float, str]:
    """Two-sided p-value of a difference, never 0, by those of the swaps, shape (B,); else NaN, and why.

    Source: (1 + as large) / (1 + swaps), Phipson & Smyth, 2010.

    >>> permutation_p_value(0.5, np.array([0.5, -0.5, 0.0]))
    (0.75, '')
    """
    if not len(swaps):
        return float("nan"), "no p-value: no permutation was asked for"
    as_large = np.abs(swaps) >= abs(difference) - ROUNDING
    return (1 + int(as_large.sum())) / (1 + len(swaps)), ""


def block_sizes(n: int, width: int) -> Iterator[int]:
    """Sizes of blocks that make up `n` rows of `width` numbers and bound the memory.

    Rows drawn block by block are those drawn at once.
    """
    block = max(1, _CELLS // width)
    for start in range(0, n, block):
        yield min(block, n - start)


def percentile_bounds(draws: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    """Percentile interval of each column of `draws`, shape (columns, 2).

    Undefined draws (NaN) are left out. NaN where no draw is left or both percentiles are the same, as where
    all draws are alike: no spread was seen, which is not the same as none.

    Args:
        draws: shape (B, columns).

    >>> percentile_bounds(np.array([[0.0, 1.0], [1.0, 1.0], [np.nan, 1.0]]), 0.5).tolist()
    [[0.25, 0.75], [nan, nan]]
    """
    tail = 50 * (1 - confidence)
    bounds = np.full((draws.shape[1], 2), np.nan)
    for number, column in enumerate(draws.T):
        seen = column[~np.isnan(column)]
        if len(seen):
            low, high = np.percentile(seen, [tail, 100 - tail])
            if high - low > ROUNDING:
                bounds[number] = low, high
    return bounds


def why_no_bounds(draws: NDArray[np.float64], rule: FrocRule, *, figure: str, needs: str) -> str:
    """Why `percentile_bounds` of one figure's draws, shape (B,), are undefined, for a note.

    Args:
        figure: what every draw gave. needs: what a draw must hold to define it.
    """
    if not rule.n_bootstrap:
        return "no interval: no resample was asked for"
    if not len(draws):
        return f"no interval: fewer than two patients, or no resample with {needs}"
    nearly = "nearly " if np.ptp(draws) > ROUNDING else ""
    return f"no interval: {nearly}every resample gave the same {figure}"
