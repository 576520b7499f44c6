"""The largest part of a breast that holds no lesion: a negative where all films carry masses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mammo_monai.geometry import enlarge_boxes
from mammo_monai.records import Boxes
from mammo_monai.transforms.sample import Sample, boxes_of, frame_of, image_of, with_boxes

MARGIN = 0.2  # by which boxes grow in width and height: spicules reach beyond what is annotated


def mass_free_view(sample: Mapping[str, Any]) -> Sample:
    """The sample with its largest lesion-free rectangle in place, 0 elsewhere, without boxes.

    No pixel moves or changes its scale, so size and texture are those of the other samples; only the
    rectangle's straight edges are new. Every annotated lesion is avoided, those that are no targets too.

    Args:
        sample: prepared, with the frame of `PrepareMammogramd` (else only its targets are known and avoided).
    """
    image = image_of(sample)
    x_min, y_min, x_max, y_max = mass_free_rectangle(image[0].numpy() > 0, _annotated(sample))
    kept = torch.zeros_like(image)
    kept[:, y_min:y_max, x_min:x_max] = image[:, y_min:y_max, x_min:x_max]
    return with_boxes(
        {**sample, "image": kept}, boxes_of(sample), np.zeros(len(boxes_of(sample)), dtype=bool)
    )


def mass_free_rectangle(
    breast: NDArray[np.bool_], boxes: Boxes, *, margin: float = MARGIN
) -> tuple[int, int, int, int]:
    """The rectangle `(x_min, y_min, x_max, y_max)`, whole pixels, that holds most breast and touches no box.

    Args:
        breast: shape (H, W). boxes: of the lesions, same frame. margin: by which these grow beforehand, a
            share of their width and height.

    Returns:
        An edge of the image or of a box on every side; `(0, 0, 0, 0)` where the boxes cover all.

    >>> mass_free_rectangle(np.ones((10, 6), dtype=bool), np.array([[1.0, 2.0, 3.0, 4.0]]), margin=0)
    (0, 4, 6, 10)
    """
    height, width = breast.shape
    grown = enlarge_boxes(boxes, margin)
    low, high = np.floor(grown[:, :2]).astype(np.int64), np.ceil(grown[:, 2:]).astype(np.int64)
    sums = np.pad(breast.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))
    rows = np.array(list(combinations(_edges(low[:, 1], high[:, 1], height), 2)))
    is_beside = (rows[:, :1] >= high[:, 1]) | (rows[:, 1:] <= low[:, 1])
    best, found = 0, (0, 0, 0, 0)
    for x_min, x_max in combinations(_edges(low[:, 0], high[:, 0], width), 2):
        is_free = (is_beside | (x_min >= high[:, 0]) | (x_max <= low[:, 0])).all(axis=1)
        down = sums[:, x_max] - sums[:, x_min]
        held = np.where(is_free, down[rows[:, 1]] - down[rows[:, 0]], 0)
        most = int(held.argmax())
        if held[most] > best:
            best, found = int(held[most]), (x_min, int(rows[most, 0]), x_max, int(rows[most, 1]))
    return found


def _edges(low: NDArray[np.int64], high: NDArray[np.int64], side: int) -> list[int]:
    """Where a rectangle may begin or end, ascending: at the image's edges and at those of boxes inside it."""
    return [int(each) for each in np.unique(np.clip(np.concatenate([[0, side], low, high]), 0, side))]


def _annotated(sample: Mapping[str, Any]) -> Boxes:
    """All annotated boxes in the sample's frame, and its targets, which may have been enlarged."""
    targets, frame = boxes_of(sample), frame_of(sample, image_of(sample))
    if frame is None or sample.get("box_original") is None:
        return targets
    original = np.asarray(sample["box_original"], dtype=np.float64).reshape(-1, 4)
    return np.concatenate([targets, frame.to_model(original)])
