"""The mass probability map as P3 words it, patch by patch and pixel by pixel, without any speed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.inference.patch_scores import PatchNetwork


def patch_starts(side: int, patch_px: int, stride_px: int) -> list[int]:
    """First pixels of the patches along one axis; the last one ends at the border."""
    starts, start = [], 0
    while start + patch_px < side:
        starts.append(start)
        start += stride_px
    return [*starts, side - patch_px]


def patch_probabilities(
    network: PatchNetwork, image: Tensor, stride_px: int, min_share: float
) -> dict[tuple[int, int], float]:
    """Probability of every patch by its first (row, column), one patch at a time; images larger than one."""
    side = network.settings.patch_px
    found = {}
    for top in patch_starts(image.shape[1], side, stride_px):
        for left in patch_starts(image.shape[2], side, stride_px):
            patch = image[0, top : top + side, left : left + side]
            middle = patch[side // 2 - 4 : side // 2 + 5, side // 2 - 4 : side // 2 + 5]
            is_wanted = (middle > 0).sum() * 2 >= middle.numel() and (patch > 0).sum() >= min_share * side**2
            with torch.no_grad():
                logits = network(patch[None, None])[0].double()
            found[top, left] = float(1 - logits.softmax(dim=0)[0]) if is_wanted else 0.0
    return found


def interpolated(
    scores: dict[tuple[int, int], float], height: int, width: int, patch_px: int
) -> NDArray[np.float64]:
    """Linear interpolation at every pixel's middle; past the last centres the map keeps its value."""
    tops = sorted({top for top, _ in scores})
    lefts = sorted({left for _, left in scores})
    half = patch_px / 2
    values = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            along = [
                np.interp(x + 0.5, [left + half for left in lefts], [scores[top, left] for left in lefts])
                for top in tops
            ]
            values[y, x] = np.interp(y + 0.5, [top + half for top in tops], along)
    for top in tops:
        for left in lefts:
            values[int(top + half), int(left + half)] = scores[top, left]
    return values


def component_boxes(values: NDArray[np.float64], level: float) -> list[tuple[int, int, int, int]]:
    """Boxes of the regions above a level, by flooding from pixel to pixel."""
    height, width = values.shape
    free = {(y, x) for y in range(height) for x in range(width) if values[y, x] > level}
    boxes = []
    for start in sorted(free):
        if start not in free:
            continue
        free.discard(start)
        region, edge = [start], [start]
        while edge:
            y, x = edge.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & free
            free -= near
            region += near
            edge += near
        rows, cols = zip(*region, strict=True)
        boxes.append((min(cols), min(rows), max(cols) + 1, max(rows) + 1))
    return boxes


def distinct_peaks(
    values: NDArray[np.float64], share_of_peak: float, min_peak: float
) -> list[tuple[float, tuple[int, int, int, int]]]:
    """For every pixel its region above a share of its value; a peak is what none in its region exceeds."""
    height, width = values.shape
    found = set()
    for y in range(height):
        for x in range(width):
            peak = values[y, x]
            if peak <= min_peak:
                continue
            region, edge = {(y, x)}, [(y, x)]
            while edge:
                row, col = edge.pop()
                for each in ((row + 1, col), (row - 1, col), (row, col + 1), (row, col - 1)):
                    inside = 0 <= each[0] < height and 0 <= each[1] < width
                    if inside and each not in region and values[each] > share_of_peak * peak:
                        region.add(each)
                        edge.append(each)
            if max(values[each] for each in region) <= peak:
                rows, cols = zip(*region, strict=True)
                found.add((float(peak), (min(cols), min(rows), max(cols) + 1, max(rows) + 1)))
    return sorted(found, reverse=True)
