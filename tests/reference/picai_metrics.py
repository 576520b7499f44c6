"""FROC and average precision by picai_eval, of matches already made or of boxes painted into its label maps.

It prints when it is imported; that is kept quiet. Where its rules are others than ours:

- it pairs detections and lesions to match as many as possible, then to overlap most, whatever the scores;
  ours go by score. Both agree where no detection overlaps two lesions and no lesion two detections enough.
- a pair needs an overlap of at least the limit; ours must lie above it.
- a missed lesion is a row of score 0, so scores of 0 are no marks; ours may be 0 or anything else.
- its FROC curve has no start at (0, 0), and the last threshold's point is replaced by one at infinitely many
  false positives, because it takes it for that row of score 0. `froc` adds a threshold below all scores.
- above 10 000 distinct scores it leaves thresholds out; `froc` names all.
- its average precision is the sum of steps without an envelope; further detections on a lesion are left out.
- equal scores enter together, and FPPI is per image over all images: as ours.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.reference.froc_reference import Box, Image

with contextlib.redirect_stdout(io.StringIO()):
    from picai_eval import Metrics
    from picai_eval.eval import evaluate_case

Rows = list[tuple[int, float, float]]
STRICTLY = 1e-6  # added to its limit, which an overlap may equal; far below any step of IoU of small boxes


def rows_of_matches(matches: Any) -> dict[int, Rows]:
    """What picai_eval calls lesion results, by image: hits, missed lesions at score 0, false positives."""
    rows: dict[int, Rows] = {n: [] for n in range(matches.n_images)}
    columns = (matches.image, matches.scores, matches.overlap, matches.is_hit, matches.is_false_positive())
    for image, score, overlap, is_hit, is_false in zip(*(each.tolist() for each in columns), strict=True):
        if is_hit or is_false:
            rows[image].append((int(is_hit), score, overlap))
    for image, detection in zip(matches.lesion_image.tolist(), matches.detection.tolist(), strict=True):
        if detection < 0:
            rows[image].append((1, 0.0, 0.0))
    return rows


def rows_of_boxes(images: Sequence[Image], size: tuple[int, int], min_iou: float) -> dict[int, Rows]:
    """Lesion results of boxes of whole pixels that do not touch, painted into maps of (rows, columns)."""
    rows = {}
    for number, (lesions, detections) in enumerate(images):
        truth, found = np.zeros((1, *size), dtype=np.int32), np.zeros((1, *size), dtype=np.float32)
        for box in lesions:
            truth[0][_part(box)] = 1
        for box, score in detections:
            found[0][_part(box)] = score
        rows[number] = evaluate_case(found, truth, min_overlap=min_iou + STRICTLY)[0]
    return rows


def froc(rows: dict[int, Rows]) -> list[tuple[float, float]]:
    """FPPI and sensitivity at each distinct score, from the highest down, without the start."""
    scores = sorted({score for image in rows.values() for _, score, _ in image if score > 0}, reverse=True)
    metrics = Metrics(rows, thresholds=np.array([*scores, -1.0]))
    if not scores:
        return []
    points = zip(metrics.lesion_FPR.tolist(), metrics.lesion_TPR.tolist(), strict=True)
    return list(points)[:-1]


def average_precision(rows: dict[int, Rows]) -> float:
    return float(Metrics(rows).AP)


def _part(box: Box) -> tuple[slice, slice]:
    x_min, y_min, x_max, y_max = (int(each) for each in box)
    return slice(y_min, y_max), slice(x_min, x_max)
