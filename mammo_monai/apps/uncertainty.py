"""How unsure a model is about an image: which one a reader should look at next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Scores of exactly 0 and 1 have no finite logit; float32 cannot tell nearer ones from them anyway.
_NEAREST = 1e-7


def mark_uncertainty(scores: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Entropy in bits of "shown or not?" for each mark: 1 at the threshold, towards 0 far from it.

    The score is read on the logit scale and centred on the threshold: q = σ(logit score − logit threshold),
    H = −q log₂ q − (1 − q) log₂(1 − q). A detector's scores crowd near 0 and its threshold is seldom ½: the
    entropy of the score itself would ask for images whose marks are all clearly shown or clearly not.

    Args:
        scores: shape (N,), in [0, 1].
        threshold: score from which marks are shown, in (0, 1).

    Returns:
        Shape (N,), in [0, 1].

    Raises:
        ValueError: a threshold or score outside these ranges.

    Source: uncertainty sampling by entropy: Settles, Active Learning Literature Survey, 2009, section 3.1;
        centring on an operating point: no source known.

    >>> mark_uncertainty(np.array([0.3, 0.999, 0.01]), threshold=0.3).round(2).tolist()
    [1.0, 0.01, 0.16]
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be in (0, 1), got {threshold}.")
    values = np.asarray(scores, dtype=np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("scores must be in [0, 1].")
    q = 1 / (1 + np.exp(_logit(np.array([threshold])) - _logit(values)))
    q = np.clip(q, _NEAREST, 1 - _NEAREST)
    return np.asarray(-q * np.log2(q) - (1 - q) * np.log2(1 - q))


def image_uncertainty(scores: NDArray[np.float64], threshold: float) -> float:
    """Uncertainty of an image's least certain mark; 0 where the model marked nothing at all.

    Raises:
        ValueError: as `mark_uncertainty`.

    Source: the maximum over the detections of an image: Brust, Käding, Denzler, Active learning for deep
        object detection, VISAPP 2019, section 4.

    >>> image_uncertainty(np.array([0.9, 0.5, 0.02]), threshold=0.5), image_uncertainty(np.zeros(0), 0.5)
    (1.0, 0.0)
    """
    return float(mark_uncertainty(scores, threshold).max(initial=0.0))


def _logit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(values, _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(inside / (1 - inside)))
