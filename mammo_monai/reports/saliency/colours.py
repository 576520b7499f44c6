"""A saliency map in colour over a film: where nothing is salient, the film shows untouched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# From dark violet to pale yellow, rising in lightness, so that it is read in grey and by colour-blind readers
# too. Source: nine points of matplotlib's "inferno".
_POINTS = (
    (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
    (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
)  # fmt: skip
MAX_OPACITY = 0.75
# Below this share of the maximum nothing is drawn.
MIN_SHOWN = 0.05


def heat_colours(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours of values in [0, 1], shape (..., 3), in [0, 255]."""
    at = np.linspace(0.0, 1.0, len(_POINTS))
    table = np.asarray(_POINTS, dtype=np.float64)
    channels = [np.interp(values, at, table[:, n]) for n in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def heat_over_film(film: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB (H, W, 3): the film in grey, the map in colour over it, more opaque where it is higher.

    Args:
        film: shape (H, W), in [0, 1]. values: the same shape, in [0, 1].

    Raises:
        ValueError: the shapes differ.

    >>> heat_over_film(np.full((1, 2), 0.5, np.float32), np.array([[0.0, 1.0]], np.float32)).tolist()
    [[[128, 128, 128], [221, 223, 155]]]
    """
    if film.shape != values.shape:
        raise ValueError(f"a map of shape {values.shape} does not fit a film of shape {film.shape}.")
    opacity = MAX_OPACITY * np.clip((values - MIN_SHOWN) / (1.0 - MIN_SHOWN), 0.0, 1.0) ** 0.6
    grey = np.clip(film, 0.0, 1.0)[..., None] * np.float32(255.0)
    mixed = grey + opacity[..., None].astype(np.float32) * (heat_colours(values) - grey)
    return np.asarray(mixed + np.float32(0.5), dtype=np.uint8)
