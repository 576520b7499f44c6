"""The figures a run is followed by, of images with their detections: mean sensitivity, AP, AUC per image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import average_precision, froc_curve, match_pooled, mean_sensitivity, pool_images
from mammo_monai.metrics.pooling import PooledImages
from mammo_monai.metrics.roc import roc_auc
from mammo_monai.metrics.scored_units import unit_scores
from mammo_monai.records import MASS_LABEL, Detections, ImageRecord, Lesion

Scored = tuple[ImageRecord, Detections]


def figure_or_nan(compute: Callable[[Sequence[Scored]], float], scored: Sequence[Scored]) -> float:
    """The figure; NaN where these images leave it undefined."""
    try:
        return compute(scored)
    except UndefinedMetricError:
        return float("nan")


def mean_sensitivity_of(scored: Sequence[Scored], *, min_iou: float = 0.2, label: int = MASS_LABEL) -> float:
    """Mean lesion sensitivity over 0.25, 0.5, 1, 2 and 4 false positives per image.

    Raises:
        UndefinedMetricError: there is no lesion of the label.

    Source: protocol §5.
    """
    return mean_sensitivity(froc_curve(match_pooled(_pooled(scored, label), min_iou=min_iou)))


def average_precision_of(scored: Sequence[Scored], *, min_iou: float = 0.5, label: int = MASS_LABEL) -> float:
    """Average precision at an IoU above `min_iou`: AP50 by default.

    Raises:
        UndefinedMetricError: there is no lesion of the label.
    """
    return average_precision(match_pooled(_pooled(scored, label), min_iou=min_iou))


def image_auc_of(scored: Sequence[Scored], *, label: int = MASS_LABEL) -> float:
    """Area under the ROC curve of images, each scored as its highest detection.

    Raises:
        UndefinedMetricError: there is no image with a lesion of the label, or none without.
    """
    units = unit_scores([record for record, _ in scored], _pooled(scored, label), level="image")
    return roc_auc(units.scores, units.is_positive)


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


def _pooled(scored: Sequence[Scored], label: int) -> PooledImages:
    return pool_images([found for _, found in scored], [record.lesions for record, _ in scored], label=label)
