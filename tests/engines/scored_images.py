"""Made images with lesions and detections, as `DetectionEvaluator` puts them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mammo_monai.engines.detection_figures import Scored
from mammo_monai.records import Detections, ImageRecord, Lesion

HIT, ASIDE = (10.0, 20.0, 30.0, 60.0), (40.0, 70.0, 60.0, 120.0)


def scored_images(n: int, seed: int = 0) -> list[Scored]:
    """Every other image with a lesion, found or not; a false positive on most."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(n):
        lesions = (Lesion(box=HIT),) if number % 2 else ()
        boxes, scores = [], []
        if lesions and rng.random() < 0.7:
            boxes, scores = [HIT], [rng.uniform(0.3, 1.0)]
        if number and rng.random() < 0.7:
            boxes, scores = [*boxes, ASIDE], [*scores, rng.uniform(0.0, 0.7)]
        name = f"{number:016x}"
        record = ImageRecord(Path(f"{number}.png"), name, f"p{number // 2}", 80, 140, lesions)
        found = Detections(
            name,
            np.array(boxes, dtype=float).reshape(-1, 4),
            np.array(scores),
            np.zeros(len(boxes), dtype=np.int64),
        )
        images.append((record, found))
    return images
