"""Paired differences of two detectors in figures that are areas: JAFROC's, and the ROC curve's per unit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.area_resampling import AreaDifference
from mammo_monai.metrics.delong import auc_difference
from mammo_monai.metrics.image_ratings import image_ratings, marks_nothing
from mammo_monai.metrics.jafroc import jafroc_difference
from mammo_monai.metrics.pairing import pair_detections
from mammo_monai.metrics.pooling import pool_records
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import UNIT_LEVELS, rate_units
from mammo_monai.records import Detections, ImageRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedDifference:
    """A difference and the figure it is in, such as `JAFROC` or `AUC per breast`."""

    figure: str
    difference: AreaDifference


def area_differences(
    records: Sequence[ImageRecord],
    first: Sequence[Detections],
    second: Sequence[Detections],
    *,
    rule: FrocRule,
    n_permutations: int = 1000,
) -> tuple[NamedDifference, ...]:
    """Differences, second minus first, in every such figure that these images define.

    JAFROC counts lesions, and false positives of all images, whatever the rule's level; it is left out where
    one of the two marks no place. The ROC curve needs positive and negative units; each model's are scored as
    `image_ratings.image_ratings` says.

    Raises:
        ManifestError, UndefinedMetricError: as `pair_detections`.
    """
    sides = (first, second)
    named = []
    if not any(marks_nothing(each) for each in sides):
        lesions = replace(rule, level="lesion", false_positives_on="all")
        pair = pair_detections(records, first, second, rule=lesions)
        named.append(NamedDifference("JAFROC", jafroc_difference(pair, rule, n_permutations=n_permutations)))
    pooled = [pool_records(records, each, label=rule.label) for each in sides]
    rated = [image_ratings(records, *each, rule) for each in zip(sides, pooled, strict=True)]
    for level in UNIT_LEVELS:
        try:
            before, after = (rate_units(each, level) for each in rated)
            difference = auc_difference(
                before.scores,
                after.scores,
                before.is_positive,
                patient=before.patient,
                rule=rule,
                n_permutations=n_permutations,
            )
        except UndefinedMetricError as error:
            logger.debug("no difference in AUC per %s: %s", level, error)
            continue
        named.append(NamedDifference(f"AUC per {level}", difference))
    return tuple(named)
