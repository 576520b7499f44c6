"""The rule by which detections are scored, in one object that every metrics file spells out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, get_args

from mammo_monai.records import MASS_LABEL, Positive

HitRule = Literal["iou", "center", "center_distance"]
Level = Literal["lesion", "image", "breast", "patient"]
FalsePositivesOn = Literal["all", "normal", "with_lesions"]

# Protocol §5: P0 and P3 report .25 .44 .58 .79 1.67, P2 1.3 and 3, size bands .5; 1, 2, 4: the field's habit.
OPERATING_FPPI = (0.25, 0.44, 0.5, 0.58, 0.79, 1.0, 1.3, 1.67, 2.0, 3.0, 4.0)
DECISION_THRESHOLD = 0.5  # of a probability: either class is as likely
_CHOICES = {"hit": HitRule, "level": Level, "false_positives_on": FalsePositivesOn, "positive": Positive}


@dataclass(frozen=True)
class FrocRule:
    """How detections are counted as hits and false positives, and how sure the figures are.

    Attributes:
        min_iou: a detection hits a lesion when their intersection over union is strictly above this.
        count_double_hits: whether further detections on a hit lesion are false positives; ignored by default.
        label: the one class that is scored, lesions and detections alike; 0 is a mass.
        fppi: operating points, false positives per image, ascending.
        n_bootstrap: resamples of patients behind each interval; with 0 shares get Wilson's, counts Poisson's,
            and what is neither none.
        seed: of the resampling.
        confidence: of every interval.
        hit: "iou": by `min_iou`, which the others leave unused; "center": the detection's centre lies inside
            the lesion's box; "center_distance": the two centres are near each other.
        max_distance_mm: the largest distance of "center_distance". None: below half of the lesion's longest
            side, in mm where the pixel spacing is known, else in pixels; the two differ where pixels are not
            square.
        level: what is found or missed: a lesion; or an image, a breast, a patient with lesions, each at the
            score of its best hit in any view.
        false_positives_on: the images whose false positives are counted and divided by: "all" of them, those
            "normal" in having no lesion of `label`, or those "with_lesions".
        positive: the images, breasts and patients that a ROC curve takes for positive: those with a "lesion"
            of `label`, or those that are "malignant" (`records.is_positive`).
        image_threshold: an image, breast or patient of at least this score is called positive, where a model
            scores whole images.

    Raises:
        ValueError: a value outside its range; the message names it.

    Source: "iou": protocol §5; "center": Ribli et al., 2018; "center_distance" without a limit: LUNA16 (Setio
    et al., 2017); the images of false positives: no source known, papers differ and seldom say.
    """

    min_iou: float = 0.2
    count_double_hits: bool = False
    label: int = MASS_LABEL
    fppi: tuple[float, ...] = OPERATING_FPPI
    n_bootstrap: int = 1000
    seed: int = 0
    confidence: float = 0.95
    hit: HitRule = "iou"
    max_distance_mm: float | None = None
    level: Level = "lesion"
    false_positives_on: FalsePositivesOn = "all"
    positive: Positive = "lesion"
    image_threshold: float = DECISION_THRESHOLD

    def __post_init__(self) -> None:
        """Refuses values outside their range."""
        for name in ("label", "n_bootstrap", "seed"):
            value = getattr(self, name)
            _require(_is_whole(value) and value >= 0, name, "a whole number, 0 or more", repr(value))
        is_below_1 = _is_number(self.min_iou) and 0 <= self.min_iou < 1
        _require(is_below_1, "min_iou", "at least 0 and below 1", repr(self.min_iou))
        is_share = _is_number(self.confidence) and 0 < self.confidence < 1
        _require(is_share, "confidence", "between 0 and 1", repr(self.confidence))
        is_ascending = _is_ascending(self.fppi)
        _require(is_ascending, "fppi", "positive numbers, ascending, at least one", repr(self.fppi))
        is_score = _is_number(self.image_threshold) and 0 <= self.image_threshold <= 1
        _require(is_score, "image_threshold", "at least 0, at most 1", repr(self.image_threshold))
        is_flag = isinstance(self.count_double_hits, bool)
        _require(is_flag, "count_double_hits", "true or false", repr(self.count_double_hits))
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            _require(value in get_args(choices), name, " or ".join(get_args(choices)), repr(value))
        if self.max_distance_mm is not None:
            expected = "left out unless hit is center_distance"
            _require(self.hit == "center_distance", "max_distance_mm", expected, self.max_distance_mm)
            limit = self.max_distance_mm
            is_length = _is_number(limit) and math.isfinite(limit) and limit > 0
            _require(is_length, "max_distance_mm", "a positive number of mm", limit)

    def describe(self) -> dict[str, object]:
        """The rule as metrics.json states it: the values, and in words what no value can say.

        `positive` and `image_threshold`, which came later, only where they are not the default: files from
        before and after compare.
        """
        doubles = "count as false positives" if self.count_double_hits else "are ignored"
        meets, takes = _hit_in_words(self)
        found, false = _SENSITIVITY_OF[self.level], _FALSE_POSITIVES[self.false_positives_on]
        return {
            "text": (
                f"A detection hits a lesion when {meets}. In each image candidates "
                "are taken by score, highest first, equal scores in file order; each takes the free lesion "
                f"{takes}. Further detections on a hit lesion {doubles}. Sensitivity is {found}; "
                f"false positives are {false}. Equal scores enter "
                "the curve together; the curve starts at (0, 0); sensitivity at an FPPI is the highest "
                f"measured at or below it. Only label {self.label} is scored, against boxes as annotated."
            ),
            "min_iou": self.min_iou,
            "hit": self.hit,
            "max_distance_mm": self.max_distance_mm,
            "level": self.level,
            "false_positives_on": self.false_positives_on,
            "count_double_hits": self.count_double_hits,
            "label": self.label,
            "confidence": self.confidence,
            "n_bootstrap": self.n_bootstrap,
            "seed": self.seed,
            "interval": (
                "percentiles of a bootstrap over patients; "
                f"Wilson over {_UNITS[self.level]} (marked `wilson`) where "
                "resampling says nothing: no resamples asked for, one patient, or bounds that coincide"
            ),
            **({} if self.positive == "lesion" else {"positive": self.positive}),
            **(
                {}
                if self.image_threshold == DECISION_THRESHOLD
                else {"image_threshold": self.image_threshold}
            ),
        }


def rule_phrase(described: Mapping[str, object]) -> str:
    """The few words a figure needs, from what `FrocRule.describe` gave or a file holds.

    What a file does not say is taken as it was before there was a choice; a missing `min_iou` is "?".

    >>> rule_phrase(FrocRule().describe())
    'lesion level, IoU > 0.2'
    >>> rule_phrase(FrocRule(hit="center", level="breast", false_positives_on="normal").describe())
    "breast level, centre in the lesion's box, false positives on normal images"
    """
    hit = {
        "iou": f"IoU > {described.get('min_iou', '?')}",
        "center": "centre in the lesion's box",
        "center_distance": "centres less than half the lesion's longest side apart",
    }.get(str(described.get("hit", "iou")), f"{described.get('hit')}")
    if described.get("max_distance_mm") is not None:
        hit = f"centres at most {described['max_distance_mm']} mm apart"
    images = {"normal": "normal images", "with_lesions": "images with lesions"}
    on = images.get(str(described.get("false_positives_on", "all")))
    parts = [f"{described.get('level', 'lesion')} level", hit, *([f"false positives on {on}"] if on else [])]
    return ", ".join(parts)


_UNITS: Mapping[Level, str] = {
    "lesion": "lesions",
    "image": "images",
    "breast": "breasts",
    "patient": "patients",
}
_SENSITIVITY_OF: Mapping[Level, str] = {
    "lesion": "per lesion",
    "image": (
        "per image with a lesion, found at the best score that hits any of its lesions; further hits on it "
        "count as nothing"
    ),
    "breast": (
        "per breast (patient and laterality) with a lesion, found at the best score that hits any of its "
        "lesions in any view; further hits on it count as nothing"
    ),
    "patient": (
        "per patient with a lesion, found at the best score that hits any of their lesions in any view; "
        "further hits on the patient count as nothing"
    ),
}
_FALSE_POSITIVES: Mapping[FalsePositivesOn, str] = {
    "all": "per image over all images, normal ones included",
    "normal": "counted on, and per, images without a lesion of the scored label",
    "with_lesions": "counted on, and per, images with a lesion of the scored label",
}


def _hit_in_words(rule: FrocRule) -> tuple[str, str]:
    """When a detection hits a lesion, and which of several it takes."""
    if rule.hit == "iou":
        return f"IoU > {rule.min_iou:g} (strictly)", "it overlaps most"
    if rule.hit == "center":
        return (
            "its centre lies inside the lesion's box (right and lower edge excluded)",
            "whose centre is nearest, in widths and heights of that lesion's box",
        )
    if rule.max_distance_mm is not None:
        return f"their centres lie at most {rule.max_distance_mm:g} mm apart", "whose centre is nearest"
    return (
        "their centres lie less than half of the lesion's longest side apart, in mm where the pixel spacing "
        "is known, else in pixels",
        "whose centre is nearest",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_ascending(fppi: object) -> bool:
    """Whether these are positive numbers, at least one, each above the one before."""
    if not isinstance(fppi, Sequence) or not fppi or not all(_is_number(each) for each in fppi):
        return False
    is_positive = all(math.isfinite(each) and each > 0 for each in fppi)
    return is_positive and all(low < high for low, high in itertools.pairwise(fppi))


def _require(is_met: bool, name: str, expected: str, value: object) -> None:
    if not is_met:
        raise ValueError(f"{name} must be {expected}, got {value}.")
