"""Average precision of lesion detection: area under precision against sensitivity, and COCO's form of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.candidate_pairs import CandidatePairs, overlapping_pairs, taken_in_turn
from mammo_monai.metrics.froc import cumulative_counts
from mammo_monai.metrics.matching import Matches, match_pooled
from mammo_monai.metrics.pooling import PooledImages

# As pycocotools makes both: 0.6 and 0.7 are other floats in a list written by hand.
COCO_MIN_IOU: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
_RECALLS = np.linspace(0.0, 1.0, 101)
_AREA_MIN_IOU = 0.5
_BELOW_ONE = 1 - 1e-10  # pycocotools accepts this much less than an IoU of 1


@dataclass(frozen=True)
class CocoAveragePrecision:
    """COCO's average precision at each limit of IoU.

    Attributes:
        min_iou: limits. values: average precision at each, in [0, 1].
    """

    min_iou: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def ap(self) -> float:
        """Mean over the limits: COCO's AP, where they are .5, .55 … .95."""
        return float(np.mean(self.values))

    def at(self, min_iou: float) -> float:
        """Average precision at one of the limits: AP50 at 0.5, AP75 at 0.75.

        Raises:
            ValueError: none of the limits is this one, to a millionth.
        """
        places = np.flatnonzero(np.isclose(self.min_iou, min_iou, rtol=0, atol=1e-6))
        if not len(places):
            raise ValueError(f"min_iou must be one of {self.min_iou}, got {min_iou}.")
        return self.values[int(places[0])]


def average_precision(
    matches: Matches, *, is_interpolated: bool = True, count_double_hits: bool = True
) -> float:
    """Area under precision against every measured sensitivity, in [0, 1]; equal scores enter together.

    By default under the envelope, the highest precision at a sensitivity or beyond it, and double hits are
    false positives whatever the FROC rule says, as in PASCAL VOC and COCO. Matched at IoU > 0.5 this is AP50.
    COCO reads the envelope at 101 recalls instead; see `coco_average_precision`.

    Args:
        is_interpolated: whether the envelope is taken; without it each step counts with its own precision, as
            in scikit-learn's `average_precision_score`. The area is never larger then.
        count_double_hits: False leaves double hits out. Without both this is the rule of picai_eval.

    Raises:
        UndefinedMetricError: there is no lesion.

    Source: Everingham et al., 2015 (PASCAL VOC, the area rule in use since 2010); Saha et al., 2024 (PI-CAI).

    >>> from mammo_monai.metrics.matching import match_detections
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 10, 10], [40, 0, 50, 10]]),
    ...     scores=np.array([0.6, 0.9]), labels=np.zeros(2, dtype=np.int64))
    >>> average_precision(match_detections(found, [Lesion(box=(0.0, 0.0, 10.0, 10.0))], min_iou=0.5))
    0.5
    """
    if not matches.n_lesions:
        raise UndefinedMetricError("average precision is undefined: there is no lesion of the scored label.")
    is_false = matches.is_false_positive(count_double_hits=count_double_hits)
    _, hits, false_positives = cumulative_counts(matches, is_false)
    precision = hits / np.maximum(hits + false_positives, 1)
    if is_interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(hits, prepend=0) * precision) / matches.n_lesions)


def coco_average_precision(
    images: PooledImages, *, min_iou: Sequence[float] = COCO_MIN_IOU
) -> CocoAveragePrecision:
    """Average precision as pycocotools gives it, to the last digits.

    A detection may match at an IoU of exactly the limit; of lesions overlapped equally it takes the last one.
    Further detections on a lesion are false positives. Equal scores enter one by one, in the order of the
    images, then of the file: where scores tie, the order of the images tells in the result, which the area
    rule of `average_precision` avoids.

    Differences that are left: pycocotools shows 100 detections an image unless `maxDets` says otherwise, here
    all count; its figures for small, medium and large areas (in px²) and its crowd regions, which may match
    any number of detections, have no place on mammograms. Without a lesion it gives −1.

    Args:
        min_iou: limits, each above 0 and at most 1.

    Raises:
        UndefinedMetricError: there is no lesion.
        ValueError: no limit, or one outside (0, 1].

    Source: Lin et al., 2014 (COCO); pycocotools 2.0, `COCOeval.evaluateImg` and `accumulate`.

    >>> from mammo_monai.metrics.pooling import pool_images
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 10, 10], [40, 0, 50, 10]]),
    ...     scores=np.array([0.9, 0.6]), labels=np.zeros(2, dtype=np.int64))
    >>> coco_average_precision(pool_images([found], [[Lesion(box=(0.0, 0.0, 10.0, 5.0))]])).at(0.5)
    1.0
    """
    if not len(images.lesion_image):
        raise UndefinedMetricError("average precision is undefined: there is no lesion of the scored label.")
    if not len(min_iou) or not all(0 < each <= 1 for each in min_iou):
        raise ValueError(f"min_iou must be limits above 0 and at most 1, at least one; got {tuple(min_iou)}.")
    pairs = overlapping_pairs(images, takes_last=True)
    order = np.argsort(-images.scores, kind="stable")
    values = tuple(_value_at(pairs, each, order, len(images.lesion_image)) for each in min_iou)
    return CocoAveragePrecision(tuple(float(each) for each in min_iou), values)


def average_precision_entry(images: PooledImages) -> dict[str, Any]:
    """`average_precision` of metrics.json: the area rule at IoU > 0.5, and COCO's; None without a lesion.

    Of lesions, on all images, whatever level and images of false positives the FROC rule names.
    """
    if not len(images.lesion_image):
        return {"min_iou": _AREA_MIN_IOU, "value": None, "coco": None}
    coco = coco_average_precision(images)
    return {
        "min_iou": _AREA_MIN_IOU,
        "value": average_precision(match_pooled(images, min_iou=_AREA_MIN_IOU)),
        "coco": {
            "ap": coco.ap,
            "ap50": coco.at(0.5),
            "ap75": coco.at(0.75),
            "min_iou": [round(each, 2) for each in coco.min_iou],
            "values": list(coco.values),
        },
    }


def _value_at(pairs: CandidatePairs, min_iou: float, order: NDArray[np.int64], n_lesions: int) -> float:
    """Mean of the envelope at 101 recalls; `order` ranks all detections by score."""
    close = pairs.kept(pairs.closeness >= min(min_iou, _BELOW_ONE))
    is_hit = np.zeros(len(order), dtype=bool)
    is_hit[close.row[taken_in_turn(close)]] = True
    hits = np.cumsum(is_hit[order])
    precision = hits / np.arange(1, len(order) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # The first place that reaches each recall; beyond the last one precision is 0.
    place = np.searchsorted(hits / n_lesions, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[place].mean())
