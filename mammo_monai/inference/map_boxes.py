"""From a mass probability map to boxes: which parts of the map are marked, how large, with what score.

P3 thresholds the map "at different probability levels" and boxes the connected regions; its FROC curve takes
one level after another, so its boxes change with the decision threshold. A detections file has one score per
box and no more. Rule "threshold" is P3's single level; the other two let one file stand for all of them.
docs/explanation/probability-map.md compares the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry import box_iou
from mammo_monai.imaging.components import Map, peak_regions, regions_above
from mammo_monai.inference.fusion import Candidates, concatenate
from mammo_monai.records import Boxes

BoxRule = Literal["peaks", "levels", "threshold"]
DEFAULT_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class MapBoxes:
    """How boxes are taken from a map.

    Attributes:
        rule:
            "peaks": one box for every distinct peak, around all that stays above `share_of_peak` of its
            height (`imaging.peak_regions`); its score is the peak. Peaks up to the lowest threshold are none.
            "levels": the regions at every threshold, scored by that threshold; of regions of different
            levels with an IoU above `max_iou` the highest level stays.
            "threshold": the regions at the one threshold, each scored by its peak.
        thresholds: probability levels in [0, 1), ascending.
        share_of_peak: in (0, 1), for "peaks".
        max_iou: in [0, 1), for "levels".

    Raises:
        ValueError: a value outside its range, thresholds that do not ascend, or several for "threshold".
    """

    rule: BoxRule = "peaks"
    thresholds: Sequence[float] = DEFAULT_THRESHOLDS
    share_of_peak: float = 0.7  # of 0.3, 0.5, 0.7, 0.85: docs/explanation/probability-map.md
    max_iou: float = 0.7

    def __post_init__(self) -> None:
        levels = list(self.thresholds)
        if not levels or levels != sorted(set(levels)) or not 0 <= levels[0] <= levels[-1] < 1:
            raise ValueError(f"thresholds must ascend within [0, 1), got {levels}.")
        if self.rule not in ("peaks", "levels", "threshold"):
            raise ValueError(f"rule must be peaks, levels or threshold, got {self.rule!r}.")
        if self.rule == "threshold" and len(levels) != 1:
            raise ValueError(f"rule threshold takes one threshold, got {len(levels)}: predict once for each.")
        if not 0 < self.share_of_peak < 1 or not 0 <= self.max_iou < 1:
            raise ValueError(
                "share_of_peak must be in (0, 1) and max_iou in [0, 1), "
                f"got {self.share_of_peak} and {self.max_iou}."
            )

    def __call__(self, values: Map) -> Candidates:
        """Candidates on a map, boxes in its cells, label 0, highest score first.

        Args:
            values: shape (H, W), probabilities; a map without signal gives no candidate.

        >>> ridge = np.array([[0.0, 0.4, 0.9, 0.4, 0.0]], dtype=np.float32)
        >>> MapBoxes()(ridge).boxes.tolist()   # above 0.7 of 0.9
        [[2.0, 0.0, 3.0, 1.0]]
        >>> MapBoxes(rule="threshold", thresholds=[0.3])(ridge).boxes.tolist()
        [[1.0, 0.0, 4.0, 1.0]]
        """
        if self.rule == "peaks":
            found = peak_regions(values, share_of_peak=self.share_of_peak, min_peak=self.thresholds[0])
            return _candidates(found.boxes, found.peaks)
        if self.rule == "threshold":
            found = regions_above(values, self.thresholds[0])
            return _candidates(found.boxes, found.peaks)
        return self._at_all_levels(values)

    def _at_all_levels(self, values: Map) -> Candidates:
        kept = _candidates(np.zeros((0, 4)), np.zeros(0))
        for level in reversed(self.thresholds):
            boxes = regions_above(values, level).boxes
            is_new = (box_iou(boxes, kept.boxes) <= self.max_iou).all(axis=1)
            kept = concatenate([kept, _candidates(boxes[is_new], np.full(int(is_new.sum()), level))])
        return kept


def _candidates(boxes: Boxes, scores: NDArray[np.float64]) -> Candidates:
    return Candidates.of(boxes, np.clip(scores, 0, 1), np.zeros(len(scores)))
