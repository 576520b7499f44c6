"""Training targets: annotated boxes enlarged, merged, cut at the borders. Pixels stay as they are.

Scoring never sees these: it uses `box_original`, the boxes as annotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from monai.transforms import MapTransform

from mammo_monai.geometry import clip_boxes, enlarge_boxes, merge_overlapping_boxes
from mammo_monai.records import Boxes
from mammo_monai.transforms.sample import (
    SIDE_MIN_PX,
    Sample,
    boxes_of,
    clipped,
    image_of,
    size_of,
    with_boxes,
)


class EnlargeBoxesd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Enlarges boxes by `fraction` of their width and height about their centres, cut at the image's borders.

    Source: P2 (Jung et al., 2018): 10 %.
    """

    def __init__(self, fraction: float = 0.1) -> None:
        super().__init__(keys="box")
        if fraction < 0:
            raise ValueError(f"fraction must not be negative, got {fraction}.")
        self.fraction = fraction

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with larger boxes."""
        size = size_of(image_of(data))
        return with_boxes(data, clip_boxes(enlarge_boxes(boxes_of(data), self.fraction), *size))


class MergeBoxesd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Replaces boxes of one label that overlap by more than `min_iou` with the box around them.

    Source: P3 (Agarwal et al., 2019) merges overlapping annotations and names no limit.
    """

    def __init__(self, min_iou: float = 0.0) -> None:
        super().__init__(keys=("box", "label"))
        if not 0 <= min_iou <= 1:
            raise ValueError(f"min_iou must be in [0, 1], got {min_iou}.")
        self.min_iou = min_iou

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with merged boxes, in the order of each group's first member."""
        boxes = boxes_of(data)
        if len(boxes) < 2:
            return dict(data)
        boxes, first = merge_by_label(boxes, np.asarray(data["label"]), self.min_iou)
        everywhere = np.zeros((len(data["label"]), 4))
        everywhere[first] = boxes
        return with_boxes(data, everywhere, np.array(first))


class ClipBoxesd(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Cuts boxes at the image's borders and drops those of which too little remains (DEBUG log).

    Args:
        min_area_fraction: of a box's area that must lie inside.
        min_side_px: of what lies inside.
    """

    def __init__(self, min_area_fraction: float = 0.25, min_side_px: float = SIDE_MIN_PX) -> None:
        super().__init__(keys=("box", "label"))
        if not 0 <= min_area_fraction <= 1:
            raise ValueError(f"min_area_fraction must be in [0, 1], got {min_area_fraction}.")
        self.min_area_fraction = min_area_fraction
        self.min_side_px = min_side_px

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with boxes inside its image."""
        return clipped(data, min_area_fraction=self.min_area_fraction, min_side_px=self.min_side_px)


def merge_by_label(boxes: Boxes, labels: np.ndarray[Any, Any], min_iou: float) -> tuple[Boxes, list[int]]:
    """Boxes merged within each label, and for each the row of its first member; ordered by that row.

    >>> boxes = np.array([[0.0, 0, 4, 4], [1, 1, 5, 5], [1, 1, 5, 5]])
    >>> merged, first = merge_by_label(boxes, np.array([0, 0, 1]), 0)
    >>> merged.tolist(), first
    ([[0.0, 0.0, 5.0, 5.0], [1.0, 1.0, 5.0, 5.0]], [0, 2])
    """
    found: list[tuple[int, Boxes]] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        merged, groups = merge_overlapping_boxes(boxes[rows], min_iou)
        found += [(int(rows[group[0]]), box) for group, box in zip(groups, merged, strict=True)]
    found.sort(key=lambda each: each[0])
    return np.array([box for _, box in found]).reshape(-1, 4), [row for row, _ in found]
