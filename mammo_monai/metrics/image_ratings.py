"""Whether images are rated by scores of their own or by their boxes, and which of them are positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mammo_monai.metrics.pooling import PooledImages, join_on_record_id
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import ImageRatings, detector_ratings
from mammo_monai.records import Detections, ImageRecord, is_positive


def image_ratings(
    records: Sequence[ImageRecord], detections: Sequence[Detections], images: PooledImages, rule: FrocRule
) -> ImageRatings:
    """Images as a model rates them, those of unknown class left out.

    Where every image has an `image_score`, that is its score, and means are taken over the views of a breast
    and the breasts of a patient. Else an image scores as its highest detection, a breast and a patient as
    their highest image.

    Args:
        detections: of the records, in any order. images: the same, pooled.
        rule: what is positive, and of which label.

    Raises:
        ManifestError: records and detections do not join one to one.

    Source: the mean over CC and MLO: P4, after Shen et al., 2019; over breasts: no source known.
    """
    ratings = detector_ratings(records, images)
    if rates_images(detections):
        own = [each.image_score for each in join_on_record_id(records, detections)]
        scores = np.array(own, dtype=np.float64)
        ratings = replace(ratings, scores=scores, over_views="mean", over_breasts="mean", score="image_score")
    if rule.positive == "lesion":
        return ratings
    classes = [is_positive(record, rule.positive, label=rule.label) for record in records]
    kept = [n for n, known in enumerate(classes) if known is not None]
    return replace(
        ratings,
        records=tuple(records[n] for n in kept),
        scores=ratings.scores[kept],
        is_positive=np.array([classes[n] for n in kept], dtype=np.bool_),
        positive=rule.positive,
        n_left_out=len(records) - len(kept),
    )


def rates_images(detections: Sequence[Detections]) -> bool:
    """Whether every image has a score of its own."""
    return bool(detections) and all(each.image_score is not None for each in detections)


def marks_nothing(detections: Sequence[Detections]) -> bool:
    """Whether a model rates images alone: every image has a score, and none a box of any label."""
    return rates_images(detections) and not any(len(each.boxes) for each in detections)
