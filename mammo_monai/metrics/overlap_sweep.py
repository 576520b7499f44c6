"""Sensitivity at given false positives per image against the IoU that a hit asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import sensitivity_intervals
from mammo_monai.metrics.candidate_pairs import overlapping_pairs
from mammo_monai.metrics.froc import froc_curve, sensitivity_at_fppi
from mammo_monai.metrics.levels import count_by_rule
from mammo_monai.metrics.matching import Matches, matches_in_turn
from mammo_monai.metrics.pooling import PooledImages
from mammo_monai.metrics.rule import FrocRule

SWEEP_MIN_IOU = tuple(n / 20 for n in range(1, 20))
SWEEP_FPPI = (0.5, 1.67, 4.0)  # .5: size bands, 1.67: P0 and P3, 4: the end of the common curve
SWEEP_BOOTSTRAP = 200  # at most: 19 limits are resampled, and a band is drawn, not quoted
Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class OverlapSweep:
    """Sensitivity at F numbers of false positives per image and K limits of IoU.

    Attributes:
        fppi: shape (F,). min_iou: shape (K,).
        sensitivity: shape (F, K). low, high: its confidence interval, pointwise, shape (F, K).
        n_bootstrap: resamples of patients behind each interval; Wilson's where they say nothing.
    """

    fppi: NDArray[np.float64]
    min_iou: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_bootstrap: int


def sweep_overlap(
    images: PooledImages,
    patient: NDArray[np.int64],
    rule: FrocRule,
    *,
    fppi: Sequence[float] = SWEEP_FPPI,
    min_iou: Sequence[float] = SWEEP_MIN_IOU,
) -> OverlapSweep:
    """Sensitivity at each limit of IoU; every limit matches anew, from overlaps computed once.

    It need not fall with the limit at every step: a box that no longer hits becomes a false positive, and the
    score at which an FPPI is reached moves with it.

    Args:
        images: of `pooling.pool_records` where the rule asks for breasts or patients.
        patient: number of each image's patient, shape (n_images,), from 0.
        rule: all but how a detection hits, which is IoU here whatever it says, and resamples beyond 200.
        fppi: positive and ascending. min_iou: a hit overlaps strictly more; each at least 0 and below 1.

    Raises:
        UndefinedMetricError: there is no lesion, or as `levels.count_by_rule`.
        ValueError: as there, or a limit outside its range.

    Source: P2 (Jung et al., 2018), Fig. 3.
    """
    if not len(images.lesion_image):
        raise UndefinedMetricError("sensitivity is undefined: the images hold no lesion of the scored label.")
    if not all(0 <= each < 1 for each in min_iou):
        raise ValueError(f"min_iou must be limits at least 0 and below 1, got {tuple(min_iou)}.")
    n_bootstrap = min(rule.n_bootstrap, SWEEP_BOOTSTRAP)
    by_iou = replace(rule, hit="iou", max_distance_mm=None, fppi=tuple(fppi), n_bootstrap=n_bootstrap)
    columns = []
    for matches in matches_at_overlaps(images, min_iou):
        counted = count_by_rule(matches, images, by_iou)
        curve = froc_curve(counted, count_double_hits=rule.count_double_hits)
        bounds = sensitivity_intervals(counted, patient, by_iou)
        found = [sensitivity_at_fppi(curve, each) for each in fppi]
        columns.append([found, [each.low for each in bounds], [each.high for each in bounds]])
    sensitivity, low, high = np.array(columns).reshape(-1, 3, len(fppi)).transpose(1, 2, 0)
    return OverlapSweep(np.array(fppi), np.array(min_iou), sensitivity, low, high, n_bootstrap)


def matches_at_overlaps(images: PooledImages, min_iou: Sequence[float]) -> Iterator[Matches]:
    """As `match_pooled` at each limit, the overlaps computed once."""
    pairs = overlapping_pairs(images)
    for limit in min_iou:
        yield matches_in_turn(images, pairs.kept(pairs.closeness > limit))


def overlap_sweep_entry(images: PooledImages, patient: NDArray[np.int64], rule: FrocRule) -> Json:
    """`overlap` of metrics.json; None in every place without a lesion."""
    limits = [round(each, 2) for each in SWEEP_MIN_IOU]
    head: Json = {
        "fppi": list(SWEEP_FPPI),
        "min_iou": limits,
        "n_bootstrap": min(rule.n_bootstrap, SWEEP_BOOTSTRAP),
    }
    if not len(images.lesion_image):
        nothing = [[None] * len(limits) for _ in SWEEP_FPPI]
        return {**head, "sensitivity": nothing, "low": nothing, "high": nothing}
    sweep = sweep_overlap(images, patient, rule)
    return {
        **head,
        "sensitivity": sweep.sensitivity.tolist(),
        "low": sweep.low.tolist(),
        "high": sweep.high.tolist(),
    }
