"""Connected regions of a map of values in [0, 1]: those above a level, and one for every distinct peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Regions:
    """Connected regions (4-neighbours) of a map, highest peak first.

    Attributes:
        boxes: `(x_min, y_min, x_max, y_max)` in cells of the map, half-open, shape (N, 4).
        peaks: the highest value within each, shape (N,).
    """

    boxes: NDArray[np.float64]
    peaks: NDArray[np.float64]


def regions_above(values: Map, level: float) -> Regions:
    """Every connected region in which the map lies above `level`; none is fine.

    Args:
        values: shape (H, W), finite.

    >>> found = regions_above(np.array([[0.9, 0.6, 0.0, 0.7]]), 0.5)
    >>> found.boxes.tolist(), found.peaks.tolist()
    ([[0.0, 0.0, 2.0, 1.0], [3.0, 0.0, 4.0, 1.0]], [0.9, 0.7])
    """
    labels, count = ndimage.label(values > level)
    peaks = ndimage.maximum(values, labels, np.arange(1, count + 1))
    return _regions([_box(place) for place in ndimage.find_objects(labels)], list(peaks))


def peak_regions(values: Map, *, share_of_peak: float, min_peak: float) -> Regions:
    """One region for every distinct peak: where the map around it stays above a share of its height.

    A peak is distinct if that region holds no higher one: between it and any higher peak the map falls to
    `share_of_peak` of its own height or below. Taken from the highest peak down; a plateau is one peak.

    Args:
        values: shape (H, W), finite, at least 0.
        share_of_peak: in (0, 1). min_peak: peaks at or below it are none, at least 0.

    Raises:
        ValueError: a setting outside its range.

    >>> found = peak_regions(np.array([[0.2, 1.0, 0.3, 0.8, 0.6, 0.4]]), share_of_peak=0.5, min_peak=0.1)
    >>> found.boxes.tolist(), found.peaks.tolist()   # 0.3 parts the peak of 0.8 from that of 1.0
    ([[1.0, 0.0, 2.0, 1.0], [3.0, 0.0, 5.0, 1.0]], [1.0, 0.8])
    """
    if not 0 < share_of_peak < 1 or min_peak < 0:
        raise ValueError(
            f"share_of_peak must be in (0, 1) and min_peak at least 0, got {share_of_peak} and {min_peak}."
        )
    boxes: list[list[int]] = []
    peaks: list[float] = []
    # Whatever belongs to a peak lies in one region above the lowest level of all: work stays inside it.
    labels, _ = ndimage.label(values > share_of_peak * min_peak)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        part = np.where(labels[place] == number, values[place], 0)
        for region, peak in _distinct(part, share_of_peak, min_peak):
            boxes.append(_box(ndimage.find_objects(region.astype(np.int8))[0], place))
            peaks.append(peak)
    return _regions(boxes, peaks)


def _distinct(part: Map, share_of_peak: float, min_peak: float) -> list[tuple[NDArray[np.bool_], float]]:
    found: list[tuple[NDArray[np.bool_], float]] = []
    left = part.copy()
    while (peak := float(left.max())) > min_peak:
        labels, _ = ndimage.label(part > share_of_peak * peak)
        region = labels == labels.flat[int(left.argmax())]
        if part[region].max() <= peak:
            found.append((region, peak))
        # Any lower peak in here would find this region, and its highest peak, inside its own.
        left[region] = 0
    return found


def _box(place: tuple[slice, slice], within: tuple[slice, slice] | None = None) -> list[int]:
    top, left = (0, 0) if within is None else (within[0].start, within[1].start)
    rows, cols = place
    return [cols.start + left, rows.start + top, cols.stop + left, rows.stop + top]


def _regions(boxes: list[list[int]], peaks: list[float]) -> Regions:
    scores = np.asarray(peaks, dtype=np.float64).reshape(-1)
    order = np.argsort(-scores, kind="stable")
    return Regions(np.asarray(boxes, dtype=np.float64).reshape(-1, 4)[order], scores[order])
