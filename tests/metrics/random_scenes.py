"""Random images with lesions and detections by seed, larger than Hypothesis draws, to compare others on."""

from __future__ import annotations

import numpy as np

from mammo_monai.records import Detections
from tests.metrics.scenes import Scene, found, record

CELL, COLUMNS, ROWS = 12, 4, 3
APART_SIZE = (
    ROWS * CELL + 2,
    COLUMNS * CELL + 3,
)  # rows and columns of pixels that hold all boxes of `apart`


def crowded(seed: int, *, n_images: int = 30, n_scores: int = 20) -> Scene:
    """Images of up to three lesions, each marked several times nearby; few scores, so that many tie."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for n in range(n_images):
        low = rng.integers(0, 60, size=(int(rng.integers(0, 4)), 2))
        truth = np.concatenate([low, low + rng.integers(6, 25, size=low.shape)], axis=1).astype(float)
        near = truth[rng.integers(len(truth), size=rng.integers(0, 8))] if len(truth) else truth
        near = near + rng.integers(-3, 4, size=near.shape)
        low = rng.integers(0, 60, size=(int(rng.integers(0, 8)), 2))
        boxes = np.concatenate([near, np.concatenate([low, low + rng.integers(4, 20, size=low.shape)], 1)])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
        records.append(record(n, [tuple(box) for box in truth.tolist()], patient=f"patient {n // 2}"))
        scores = rng.integers(1, n_scores + 1, size=len(boxes)) / n_scores
        detections.append(Detections(f"{n:016x}", boxes, scores, np.zeros(len(boxes), dtype=np.int64)))
    return Scene(tuple(records), tuple(detections))


def apart(seed: int, n_images: int = 6) -> Scene:
    """Each cell of an image holds a lesion, a box that may hit it, both or nothing; cells do not touch."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for n in range(n_images):
        lesions, marks = [], []
        for row, column in np.ndindex(ROWS, COLUMNS):
            low = np.array([column, row]) * CELL + 1 + rng.integers(0, 3, (2, 2))
            lesion, mark = np.concatenate([low, low + rng.integers(5, 9, (2, 2))], axis=1).tolist()
            if rng.random() < 0.3:
                lesions.append(tuple(map(float, lesion)))
            if rng.random() < 0.5:
                # Scores of eighths: exact in float32, which label maps hold, and often equal.
                marks.append((tuple(map(float, mark)), float(rng.integers(1, 9)) / 8))
        records.append(record(n, lesions if n else []))
        detections.append(found(n, *marks))
    return Scene(tuple(records), tuple(detections))
