"""An exported model against torch: maps, boxes, scores of images, and how many lesions each finds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mammo_monai.bundle.exporting.swapping import Swappable
from mammo_monai.inference import detections_in_original
from mammo_monai.inference.runtimes.cores import Run
from mammo_monai.inference.sources import Samples
from mammo_monai.metrics import FrocRule, evaluate_detections
from mammo_monai.metrics.agreement import detection_agreement
from mammo_monai.pace import Pace
from mammo_monai.records import Detections, ImageRecord

logger = logging.getLogger(__name__)
MIN_IOU = 0.95
MAX_SCORE_DIFFERENCE = 0.02
FPPI = (0.25, 0.5, 1.0, 2.0, 4.0)
_SIZES = 4  # of the images, as they come


@dataclass(frozen=True, eq=False)
class Compared:
    """What torch and an exported model made of the same images.

    Attributes:
        maps: per size of the network's input, the largest absolute difference of any map to torch's.
    """

    by_torch: tuple[Detections, ...]
    by_engine: tuple[Detections, ...]
    maps: tuple[Mapping[str, Any], ...]

    def boxes(self) -> dict[str, Any]:
        """Counts of boxes, and the share that both have at nearly the same score; None without any."""
        n_boxes = n_matched = 0
        worst = 0.0
        for one, other in zip(self.by_torch, self.by_engine, strict=True):
            agreement = detection_agreement(one, other, min_iou=MIN_IOU)
            differences = np.abs(agreement.score_difference)
            n_boxes += len(differences) + agreement.n_unmatched
            n_matched += int((differences <= MAX_SCORE_DIFFERENCE).sum())
            worst = max(worst, float(differences.max(initial=0.0)))
        return {
            "min_iou": MIN_IOU,
            "max_score_difference": MAX_SCORE_DIFFERENCE,
            "n_boxes": n_boxes,
            "matched": n_matched / n_boxes if n_boxes else None,
            "largest_score_difference": worst,
            "largest_image_score_difference": self._image_scores(),
        }

    def froc(self, records: Sequence[ImageRecord]) -> dict[str, Any]:
        """Sensitivity at `FPPI` of both, with bootstrap intervals over patients, per lesion, by our rule."""
        rule = FrocRule(fppi=FPPI)
        found = {
            name: evaluate_detections(records, detections, rule=rule)
            for name, detections in (("torch", self.by_torch), ("engine", self.by_engine))
        }
        names = ("fppi", "sensitivity", "low", "high", "interval")
        return {
            **{name: found["torch"][name] for name in ("rule", "n_images", "n_patients", "n_lesions")},
            **{
                name: [{key: point[key] for key in names} for point in each["froc"]["points"]]
                for name, each in found.items()
            },
        }

    def _image_scores(self) -> float | None:
        pairs = [
            (one.image_score, other.image_score)
            for one, other in zip(self.by_torch, self.by_engine, strict=True)
        ]
        known = [abs(one - other) for one, other in pairs if one is not None and other is not None]
        return max(known, default=None)


def compared(model: Swappable, run: Run, samples: Samples, inputs: Sequence[Tensor]) -> Compared:
    """Shows every image to torch and to `run`.

    Args:
        inputs: normalised tensors to compare maps on, besides those of the first images.
    """
    by_torch, by_engine, seen = [], [], list(inputs)
    pace = Pace(logger, "compared")
    for index in range(len(samples)):
        sample = samples[index]
        prediction, given = model.inputs_of(sample["image"])
        with model.computed_by(run) as inferer:
            other = inferer(sample["image"])
        area = model.inferer.min_area_mm2
        by_torch.append(detections_in_original(sample, prediction, min_area_mm2=area))
        by_engine.append(detections_in_original(sample, other, min_area_mm2=area))
        if index < _SIZES:
            seen += given[:1]
        pace(index + 1, len(samples))
    return Compared(tuple(by_torch), tuple(by_engine), map_differences(model, run, seen))


def map_differences(model: Swappable, run: Run, inputs: Sequence[Tensor]) -> tuple[dict[str, Any], ...]:
    """Per size (images, rows, cols): the largest difference of any map to torch's, and the largest number."""
    worst: dict[tuple[int, ...], tuple[float, float]] = {}
    for each in inputs:
        with torch.inference_mode():
            expected, found = model.core(each), run(each)
        pairs = list(zip(expected, found, strict=True))
        difference = max(float((one - other).abs().max()) for one, other in pairs)
        largest = max(float(one.abs().max()) for one, _ in pairs)
        size = (each.shape[0], *each.shape[2:])
        before = worst.get(size, (0.0, 0.0))
        worst[size] = (max(before[0], difference), max(before[1], largest))
    return tuple(
        {"images_rows_cols": list(size), "largest_difference": difference, "largest_number": largest}
        for size, (difference, largest) in worst.items()
    )
