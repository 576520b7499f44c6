"""The rule by which detections are scored, in one object that every metrics file spells out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mammo_monai.records import MASS_LABEL

# Protocol §5: P0 and P3 report .25 .44 .58 .79 1.67, P2 1.3 and 3, size bands .5; 1, 2, 4: the field's habit.
OPERATING_FPPI = (0.25, 0.44, 0.5, 0.58, 0.79, 1.0, 1.3, 1.67, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class FrocRule:
    """How detections are counted as hits and false positives, and how sure the figures are.

    Attributes:
        min_iou: a detection hits a lesion when their intersection over union is strictly above this.
        count_double_hits: whether further detections on a hit lesion are false positives; ignored by default.
        label: the one class that is scored, lesions and detections alike; 0 is a mass.
        fppi: operating points, false positives per image, ascending.
        n_bootstrap: resamples of patients behind each interval; 0 gives Wilson intervals everywhere.
        seed: of the resampling.
        confidence: of every interval.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    min_iou: float = 0.2
    count_double_hits: bool = False
    label: int = MASS_LABEL
    fppi: tuple[float, ...] = OPERATING_FPPI
    n_bootstrap: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuses values outside their range."""
        _require(0 <= self.min_iou < 1, "min_iou", "at least 0 and below 1", self.min_iou)
        _require(self.label >= 0, "label", "0 or more", self.label)
        _require(self.n_bootstrap >= 0, "n_bootstrap", "0 or more", self.n_bootstrap)
        _require(self.seed >= 0, "seed", "0 or more", self.seed)
        _require(0 < self.confidence < 1, "confidence", "between 0 and 1", self.confidence)
        is_ascending = all(low < high for low, high in zip(self.fppi, self.fppi[1:], strict=False))
        is_positive = all(math.isfinite(each) and each > 0 for each in self.fppi)
        _require(
            bool(self.fppi) and is_ascending and is_positive, "fppi", "positive and ascending", self.fppi
        )

    def describe(self) -> dict[str, object]:
        """The rule as metrics.json states it: the values, and in words what no value can say."""
        doubles = "count as false positives" if self.count_double_hits else "are ignored"
        return {
            "text": (
                f"A detection hits a lesion when IoU > {self.min_iou:g} (strictly). In each image candidates "
                "are taken by score, highest first, equal scores in file order; each takes the free lesion "
                f"it overlaps most. Further detections on a hit lesion {doubles}. Sensitivity is per lesion; "
                "false positives are per image over all images, normal ones included. Equal scores enter "
                "the curve together; the curve starts at (0, 0); sensitivity at an FPPI is the highest "
                f"measured at or below it. Only label {self.label} is scored, against boxes as annotated."
            ),
            "min_iou": self.min_iou,
            "count_double_hits": self.count_double_hits,
            "label": self.label,
            "confidence": self.confidence,
            "n_bootstrap": self.n_bootstrap,
            "seed": self.seed,
            "interval": (
                "percentiles of a bootstrap over patients; Wilson over lesions (marked `wilson`) where "
                "resampling says nothing: no resamples asked for, one patient, or every resample alike"
            ),
        }


def _require(is_met: bool, name: str, expected: str, value: object) -> None:
    if not is_met:
        raise ValueError(f"{name} must be {expected}, got {value}.")
