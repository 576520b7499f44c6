"""Patch choice and classification figures, pixel by pixel and unit by unit: slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def inside_by_angle(polygon: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """By the sum of the angles under which a point sees the edges: ±360° inside, 0 outside."""
    total = 0.0
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        a, b = np.arctan2(y1 - y, x1 - x), np.arctan2(y2 - y, x2 - x)
        total += (b - a + np.pi) % (2 * np.pi) - np.pi
    return bool(abs(total) > np.pi)


def area_by_points(polygon: Sequence[tuple[float, float]], box: Sequence[float], per_px: int = 8) -> float:
    """Share of a fine lattice of points in the box that lie in the polygon, times the box's area."""
    x_min, y_min, x_max, y_max = box
    xs = x_min + (np.arange(int((x_max - x_min) * per_px)) + 0.5) / per_px
    ys = y_min + (np.arange(int((y_max - y_min) * per_px)) + 0.5) / per_px
    hits = sum(inside_by_angle(polygon, x, y) for x in xs for y in ys)
    return hits / per_px**2


def shares_by_loop(pixels: NDArray[np.uint16], centres: NDArray[np.float64], side: int) -> list[float]:
    """Share of non-zero pixels of each window; pixels outside the image are zero."""
    shares = []
    for x, y in centres:
        left, top = round(x - side / 2), round(y - side / 2)
        count = 0
        for row in range(top, top + side):
            for column in range(left, left + side):
                is_there = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
                count += bool(is_there and pixels[row, column] > 0)
        shares.append(count / side**2)
    return shares


def figures_by_counting(truth: Sequence[bool], called: Sequence[bool]) -> dict[str, float]:
    """Counts units one by one."""
    pairs = list(zip(truth, called, strict=True))
    tp, fn = pairs.count((True, True)), pairs.count((True, False))
    fp, tn = pairs.count((False, True)), pairs.count((False, False))

    def share(above: float, below: float) -> float:
        return above / below if below else float("nan")

    return {
        "accuracy": share(tp + tn, len(pairs)),
        "sensitivity": share(tp, tp + fn),
        "specificity": share(tn, tn + fp),
        "precision": share(tp, tp + fp),
        "f1": share(2 * tp, 2 * tp + fp + fn),
    }


def auc_by_pairs(truth: Sequence[bool], scores: Sequence[float]) -> float:
    """Share of pairs whose positive scores higher, ties one half."""
    positives = [score for score, is_positive in zip(scores, truth, strict=True) if is_positive]
    negatives = [score for score, is_positive in zip(scores, truth, strict=True) if not is_positive]
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positives for n in negatives]
    return sum(wins) / len(wins) if wins else float("nan")


def accuracy_swaps(first: Sequence[bool], second: Sequence[bool], patients: Sequence[int]) -> list[float]:
    """Differences in accuracy, second minus first, of all ways to swap two classifiers in whole patients."""
    names = sorted(set(patients))
    differences = []
    for code in range(2 ** len(names)):
        swapped = {name for bit, name in enumerate(names) if code >> bit & 1}
        a = [second[n] if patients[n] in swapped else first[n] for n in range(len(first))]
        b = [first[n] if patients[n] in swapped else second[n] for n in range(len(first))]
        differences.append((sum(b) - sum(a)) / len(first))
    return differences
