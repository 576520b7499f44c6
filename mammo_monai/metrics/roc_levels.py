"""`roc` of metrics.json: curve, area and sensitivity at fixed specificities per image, breast and patient."""

from __future__ import annotations

import logging
import math
from typing import Any

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.delong import auc_interval
from mammo_monai.metrics.roc import roc_auc, roc_curve, sensitivity_at_specificity
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import (
    UNIT_LEVELS,
    ImageRatings,
    Pool,
    UnitScores,
    rate_units,
)

logger = logging.getLogger(__name__)

SPECIFICITIES = (0.8, 0.9, 0.95)  # no source known: round figures of the field; P4's are .801 and .961
Json = dict[str, Any]


def roc_entries(ratings: ImageRatings, rule: FrocRule) -> list[Json]:
    """One entry per level that has positive and negative units; the others are left out.

    Breasts are left out too where an image's laterality is unknown, and patients with them where a mean is
    taken over views or breasts.
    """
    entries = []
    for level in UNIT_LEVELS:
        try:
            entries.append(roc_entry(rate_units(ratings, level), rule, pool=ratings.over_views))
        except UndefinedMetricError as error:
            logger.debug("no ROC curve per %s: %s", level, error)
    return entries


def roc_entry(units: UnitScores, rule: FrocRule, *, pool: Pool = "max") -> Json:
    """The entry of one level; undefined numbers, and scores that are infinite, are None.

    Raises:
        UndefinedMetricError: there is no positive unit, or no negative one.
    """
    scores, truth, patient = units.scores, units.is_positive, units.patient
    curve = roc_curve(scores, truth)
    corners, interval = curve.corners(), auc_interval(scores, truth, patient=patient, rule=rule)
    points = [
        sensitivity_at_specificity(scores, truth, each, patient=patient, rule=rule) for each in SPECIFICITIES
    ]
    return {
        "level": units.level,
        "pool": pool,
        "n_positive": curve.n_positive,
        "n_negative": curve.n_negative,
        "auc": roc_auc(scores, truth),
        "low": _or_none(interval.low),
        "high": _or_none(interval.high),
        "interval": interval.method,
        "note": interval.note,
        "fpr": corners.fpr.tolist(),
        "tpr": corners.tpr.tolist(),
        "sensitivity_at_specificity": [
            {
                "specificity": each.specificity,
                "sensitivity": each.sensitivity,
                "low": each.low,
                "high": each.high,
                "interval": each.interval,
                "score": _or_none(each.score),
            }
            for each in points
        ],
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
