"""Two detectors on the same images, matched against the same lesions, and what each marks at one FPPI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.metrics.froc import froc_curve, score_at_fppi
from mammo_monai.metrics.levels import match_by_rule
from mammo_monai.metrics.matching import NOTHING, Matches
from mammo_monai.metrics.pooling import patient_numbers, pool_records
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.words import counted

_NAMED = 5  # ids spelled out in an error; the rest are counted
_DETECTORS = ("the first detector", "the second detector")


@dataclass(frozen=True, eq=False)
class PairedMatches:
    """Two detectors matched against the same lesions of the same images, in the same order.

    Grouped to images, breasts or patients, "lesion" reads "unit with lesions" here and below; its place is
    that of the unit's first lesion.

    Attributes:
        patient: number of each image's patient, shape (n_images,), from 0.

    Raises:
        ValueError: the two do not speak of the same images and lesions, or `patient` not of those images.
        UndefinedMetricError: there is no lesion.
    """

    first: Matches
    second: Matches
    patient: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuses two that are no pair."""
        is_pair = (
            self.first.n_images == self.second.n_images == len(self.patient)
            and np.array_equal(self.first.lesion_image, self.second.lesion_image)
            and np.array_equal(self.first.lesion_index, self.second.lesion_index)
            and np.array_equal(self.first.is_counted, self.second.is_counted)
        )
        if not is_pair:
            raise ValueError(
                "both detectors must be matched against the same lesions of the same images, with a patient "
                f"for each: got {counted(self.first.n_images, 'image')} with "
                f"{counted(self.first.n_lesions, 'lesion')}, {self.second.n_images} with "
                f"{self.second.n_lesions}, and {counted(len(self.patient), 'patient')}."
            )
        if not self.n_lesions:
            raise UndefinedMetricError(
                f"a difference in sensitivity is undefined: {counted(self.first.n_images, 'image')} without "
                "a lesion of the scored label. Name another --split or --label."
            )

    @property
    def n_lesions(self) -> int:
        """Lesions to be found by both."""
        return self.first.n_lesions

    @property
    def n_patients(self) -> int:
        """Patients the images are of."""
        return int(self.patient.max()) + 1


@dataclass(frozen=True, eq=False)
class MarkedAt:
    """What one detector marks when it may make so many false positives per image.

    Attributes:
        score: lowest score that is shown; infinity where nothing may be.
        is_found: of each lesion, shape (M,).
        is_false_positive: of each detection, whether it is shown and false, shape (N,).
    """

    score: float
    is_found: NDArray[np.bool_]
    is_false_positive: NDArray[np.bool_]


@dataclass(frozen=True)
class LesionCounts:
    """Lesions by who found them: McNemar's table of two detectors."""

    both: int
    only_first: int
    only_second: int
    neither: int


@dataclass(frozen=True)
class LesionApart:
    """A lesion that one detector alone found.

    Attributes:
        image: its number. lesion: position in the record's lesions.
        by_second: whether the second found it, not the first.
        score: of the detection that found it. other_score: with which the other detector hit it, too low to
            be shown; NaN where it never did.
    """

    image: int
    lesion: int
    by_second: bool
    score: float
    other_score: float


def pair_detections(
    records: Sequence[ImageRecord],
    first: Sequence[Detections],
    second: Sequence[Detections],
    *,
    rule: FrocRule,
    names: tuple[str, str] = _DETECTORS,
) -> PairedMatches:
    """Both detectors' detections joined to the records on the record id, and matched.

    Args:
        names: of the two, for errors: the files they came from.

    Raises:
        ManifestError: a detector marks an image that is not among the records, the two mark different images,
            an image has no entry or two, a score is not finite, or a record lacks what the rule needs.
        GeometryError: a box is reversed or not finite.
        UndefinedMetricError: there is no image, no lesion of the scored label, or no image whose false
            positives count.
    """
    if not records:
        raise UndefinedMetricError(
            "there is no image to score: the split is empty. Name another with --split."
        )
    _check_same_images(records, first, second, names)
    matched = []
    for name, detections in zip(names, (first, second), strict=True):
        try:
            pooled = pool_records(records, detections, label=rule.label)
        except ManifestError as error:
            raise ManifestError(f"{name}: {error}") from error
        matched.append(match_by_rule(pooled, rule))
    return PairedMatches(matched[0], matched[1], patient_numbers(records))


def marked_at(matches: Matches, fppi: float, *, rule: FrocRule) -> MarkedAt:
    """What a detector marks at an operating point: every detection of at least the score that belongs to it.

    Raises:
        ValueError: `fppi` is not a positive number.
    """
    if not (math.isfinite(fppi) and fppi > 0):
        raise ValueError(f"fppi must be a positive number of false positives per image, got {fppi}.")
    score = score_at_fppi(froc_curve(matches, count_double_hits=rule.count_double_hits), fppi)
    is_shown = matches.scores >= score
    # -1, missed, reads the last entry: not shown.
    is_found = np.append(is_shown, False)[matches.detection] & (matches.detection != NOTHING)
    is_false = is_shown & matches.is_false_positive(count_double_hits=rule.count_double_hits)
    return MarkedAt(score, np.asarray(is_found), np.asarray(is_false))


def lesion_counts(first: MarkedAt, second: MarkedAt) -> LesionCounts:
    """How many lesions both, one or neither found.

    Source: McNemar, 1947 (the table). Its test is not made: lesions of one patient are not independent.
    """
    return LesionCounts(
        both=int((first.is_found & second.is_found).sum()),
        only_first=int((first.is_found & ~second.is_found).sum()),
        only_second=int((~first.is_found & second.is_found).sum()),
        neither=int((~first.is_found & ~second.is_found).sum()),
    )


def lesions_apart(pair: PairedMatches, first: MarkedAt, second: MarkedAt) -> tuple[LesionApart, ...]:
    """The lesions that one detector alone found, in the order of the images."""
    scores = [
        np.append(matches.scores, np.nan)[matches.detection]  # -1, missed, reads the NaN
        for matches in (pair.first, pair.second)
    ]
    apart = []
    for row in np.flatnonzero(first.is_found != second.is_found).tolist():
        by_second = bool(second.is_found[row])
        apart.append(
            LesionApart(
                image=int(pair.first.lesion_image[row]),
                lesion=int(pair.first.lesion_index[row]),
                by_second=by_second,
                score=float(scores[by_second][row]),
                other_score=float(scores[not by_second][row]),
            )
        )
    return tuple(apart)


def _check_same_images(
    records: Sequence[ImageRecord],
    first: Sequence[Detections],
    second: Sequence[Detections],
    names: tuple[str, str],
) -> None:
    known = {record.record_id for record in records}
    ids = [[each.record_id for each in detections] for detections in (first, second)]
    for name, own in zip(names, ids, strict=True):
        unknown = [each for each in own if each not in known]
        if unknown:
            raise ManifestError(
                f"{name}: {len(unknown)} record ids are not among the images to score: {_listed(unknown)}. "
                "Compare on the manifest and split that both were predicted from."
            )
    sets = [set(own) for own in ids]
    only = [[each for each in own if each not in other] for own, other in zip(ids, sets[::-1], strict=True)]
    if any(only):
        parts = [
            f"{len(each)} only in {name} ({_listed(each)})"
            for name, each in zip(names, only, strict=True)
            if each
        ]
        raise ManifestError(
            f"the two detectors were not run on the same images: {', '.join(parts)}. "
            "Run predict for both on the same manifest and split."
        )


def _listed(record_ids: Sequence[str]) -> str:
    return ", ".join(record_ids[:_NAMED]) + (", …" if len(record_ids) > _NAMED else "")
