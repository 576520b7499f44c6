"""FROC as an Ignite metric: detections and truth in original pixels, scored by `metrics`, once per epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced

from mammo_monai.engines.distributed import gather_lists
from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocRule, froc_curve, mean_sensitivity, pool_images
from mammo_monai.metrics.levels import match_by_rule
from mammo_monai.records import Detections, ImageRecord, Lesion

Scored = tuple[ImageRecord, Detections]


class FrocMetric(Metric):  # type: ignore[misc]  # ignite's base is untyped
    """Mean lesion sensitivity over 0.25, 0.5, 1, 2 and 4 false positives per image.

    Takes the evaluator's output: a list of `(record, detections)` per iteration. Under distributed evaluation
    every process brings its share, and all get the figure of the whole.

    Args:
        min_iou: a detection hits a lesion when their IoU exceeds this.

    The value is NaN when no image holds a lesion: undefined, never 0.

    Source: protocol § 5.
    """

    def __init__(self, min_iou: float = 0.2) -> None:
        self.min_iou = min_iou
        super().__init__()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def reset(self) -> None:
        """Forgets the images seen."""
        self._scored: list[Scored] = []

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def update(self, output: Sequence[Scored]) -> None:
        """Adds the images of one iteration."""
        self._scored.extend(output)

    def compute(self) -> float:
        """The figure over all images of all processes."""
        # Processes are dealt equally many images, some of them twice: each counts once.
        by_id = {record.record_id: (record, found) for record, found in gather_lists(self._scored)}
        scored = list(by_id.values())
        pooled = pool_images([found for _, found in scored], [record.lesions for record, _ in scored])
        try:
            return mean_sensitivity(froc_curve(match_by_rule(pooled, FrocRule(self.min_iou))))
        except UndefinedMetricError:
            return float("nan")


def record_of(sample: Mapping[str, Any]) -> ImageRecord:
    """The truth of a sample as a record: boxes as annotated, original pixels."""
    frame = sample["frame"]
    boxes = np.asarray(sample["box_original"], dtype=np.float64).tolist()
    lesions = tuple(
        Lesion(box=(box[0], box[1], box[2], box[3]), label=int(label))
        for box, label in zip(boxes, sample["label_original"], strict=True)
    )
    return ImageRecord(
        image=Path(sample["image_path"]),
        record_id=sample["record_id"],
        patient_id=sample["patient_id"],
        width=frame.width,
        height=frame.height,
        lesions=lesions,
    )
