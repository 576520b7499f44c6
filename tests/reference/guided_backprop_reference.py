"""Guided back-propagation of a tiny network by hand: nested loops, numpy, no autograd."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def convolved(x: Array, kernels: Array) -> Array:
    """(C, H, W) and kernels (K, C, 3, 3), padding 1."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(kernels), *x.shape[1:]))
    for k, kernel in enumerate(kernels):
        for row in range(x.shape[1]):
            for col in range(x.shape[2]):
                out[k, row, col] = (padded[:, row : row + 3, col : col + 3] * kernel).sum()
    return out


def convolved_back(gradient: Array, kernels: Array) -> Array:
    """Gradient by the input of `convolved`."""
    n_channels, (_, height, width) = kernels.shape[1], gradient.shape
    padded = np.zeros((n_channels, height + 2, width + 2))
    for k, kernel in enumerate(kernels):
        for row in range(height):
            for col in range(width):
                padded[:, row : row + 3, col : col + 3] += gradient[k, row, col] * kernel
    return padded[:, 1:-1, 1:-1]


def guided_gradient(image: Array, first: Array, second: Array, weights: Array) -> Array:
    """Of conv → ReLU → conv → ReLU6 → mean over places → weighted sum of channels, (H, W)."""
    before_one = convolved(image[None], first)
    before_two = convolved(np.maximum(before_one, 0), second)
    gradient = np.ones_like(before_two) * weights[:, None, None] / before_two[0].size
    gradient = np.where((before_two > 0) & (before_two < 6) & (gradient > 0), gradient, 0)
    gradient = convolved_back(gradient, second)
    gradient = np.where((before_one > 0) & (gradient > 0), gradient, 0)
    by_image: Array = convolved_back(gradient, first)[0]
    return by_image
