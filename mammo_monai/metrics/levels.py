"""Sensitivity per image, breast or patient: matches regrouped, and counted as a whole rule says."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.matching import NOTHING, Matches, match_lesions
from mammo_monai.metrics.pooling import PooledImages
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import UnitLevel
from mammo_monai.records import ImageRecord
from mammo_monai.words import counted


def match_by_rule(images: PooledImages, rule: FrocRule) -> Matches:
    """Detections matched and counted as the rule says: what hits, what is found, whose false positives count.

    Every figure of a rule is made of this. Which single lesion was found, whatever the level, says
    `matching.match_lesions`.

    Args:
        images: of `pooling.pool_records`; those of `pool_images` do for a rule that asks nothing of records.

    Raises:
        ManifestError: a limit in mm, and an image with lesions without pixel spacing.
        UndefinedMetricError: breasts, and an image without laterality; or no image whose false positives
            count.
        ValueError: the rule needs records, and the images were pooled without.
    """
    return count_by_rule(match_lesions(images, rule), images, rule)


def count_by_rule(matches: Matches, images: PooledImages, rule: FrocRule) -> Matches:
    """Matches of lesions, all or some of them, brought to the rule's level and images of false positives.

    An image has a lesion where one of the scored label was annotated, whether or not it was left out of
    `matches`.

    Raises:
        UndefinedMetricError, ValueError: as `match_by_rule`.
    """
    is_counted = None if rule.false_positives_on == "all" else images.has_lesion
    if rule.false_positives_on == "normal":
        is_counted = ~images.has_lesion
    if is_counted is not None and not is_counted.any():
        kind = "without a lesion" if rule.false_positives_on == "normal" else "with a lesion"
        raise UndefinedMetricError(
            f"false positives per image are undefined: none of {counted(images.n_images, 'image')} "
            f"is {kind} of label {rule.label}, and false_positives_on {rule.false_positives_on} counts them "
            "there alone. Count them on all."
        )
    matches = replace(matches, counted_images=is_counted)
    if rule.level == "lesion":
        return matches
    if rule.level == "image":
        return group_lesions(matches, np.arange(images.n_images))
    if len(images.records) != images.n_images:
        raise ValueError(f"level {rule.level} needs the images' records: pool them with pool_records.")
    return group_lesions(matches, unit_numbers(images.records, rule.level))


def group_lesions(matches: Matches, unit: NDArray[np.int64]) -> Matches:
    """The same matches with all lesions of a unit as one, found by the hit of highest score among theirs.

    Of equal scores the first in the order of rows counts. Hits on further lesions of a found unit have no row
    left: they are neither hits nor false positives. Double hits stay what they are, so a rule that counts
    them still does. `lesion_image` and `lesion_index` are those of the unit's first lesion, and units come in
    the order of those: for two detectors on the same images they are the same.

    Args:
        unit: number of each image's unit, shape (n_images,); see `unit_numbers`.

    >>> from mammo_monai.metrics.matching import match_detections
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 9, 5], [20, 0, 29, 5], [40, 0, 49, 5]]),
    ...     scores=np.array([0.6, 0.9, 0.3]), labels=np.zeros(3, dtype=np.int64))
    >>> lesions = [Lesion(box=(0.0, 0.0, 9.0, 5.0)), Lesion(box=(20.0, 0.0, 29.0, 5.0))]
    >>> grouped = group_lesions(match_detections(found, lesions), np.array([0]))
    >>> grouped.n_lesions, grouped.scores.tolist(), grouped.lesion.tolist(), grouped.detection.tolist()
    (1, [0.9, 0.3], [0, -1], [0])
    """
    _, first, group = np.unique(unit[matches.lesion_image], return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    group, first = order[group], np.sort(first)
    hits = np.flatnonzero(matches.is_hit)
    hits = hits[np.argsort(-matches.scores[hits], kind="stable")]
    found, place = np.unique(group[matches.lesion[hits]], return_index=True)
    is_kept = ~matches.is_hit
    is_kept[hits[place]] = True
    lesion = np.full(len(matches.scores), NOTHING, dtype=np.int64)
    lesion[hits[place]] = found
    detection = np.full(len(first), NOTHING, dtype=np.int64)
    detection[found] = (np.cumsum(is_kept) - 1)[hits[place]]
    return replace(
        matches,
        scores=matches.scores[is_kept],
        image=matches.image[is_kept],
        index=matches.index[is_kept],
        lesion=lesion[is_kept],
        overlap=matches.overlap[is_kept],
        is_double_hit=matches.is_double_hit[is_kept],
        lesion_image=matches.lesion_image[first],
        lesion_index=matches.lesion_index[first],
        detection=detection,
    )


def unit_numbers(records: Sequence[ImageRecord], level: UnitLevel) -> NDArray[np.int64]:
    """Number of each image's unit, shape (n_images,), from 0 in the order of first appearance.

    Raises:
        UndefinedMetricError: breasts are asked for, and an image's laterality is unknown: never guessed.
    """
    names: list[Hashable] = []
    for number, record in enumerate(records):
        if level == "breast" and record.laterality is None:
            raise UndefinedMetricError(
                f"record {record.record_id}: level breast needs to know the breast, and the laterality is "
                "missing. Add L or R to the manifest, or score by image or by patient."
            )
        side = record.laterality if level == "breast" else None
        names.append(number if level == "image" else (record.patient_id, side))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)
