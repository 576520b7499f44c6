"""Runs a detector over images and brings its boxes back to original pixels, beside the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from monai.engines import Evaluator

from mammo_monai.engines.detection_figures import record_of
from mammo_monai.engines.distributed import evaluated_alone, unwrapped
from mammo_monai.engines.ema import WeightAverage
from mammo_monai.engines.ignite_metrics import FrocMetric
from mammo_monai.inference import Inferer, detections_in_original
from mammo_monai.inference.precision import autocast, check_precision
from mammo_monai.networks.contract import Detector
from mammo_monai.records import Detections, ImageRecord


class DetectionEvaluator(Evaluator):  # type: ignore[misc]  # monai carries no types
    """A MONAI evaluator whose output per iteration is a list of `(ImageRecord, Detections)`.

    Boxes of both are in original pixels: the truth as annotated, the detections through each sample's frame.

    Args:
        inferer: turns one image (1, H, W) into detections in that image's frame; see `inference`.
        detector: the detector `inferer` uses; switched to evaluation mode.
        average: if given, its weights are used while evaluating and the network's own restored after.
        key_metric: the figure by which the best weights are chosen, under this name.
    """

    def __init__(
        self,
        *,
        detector: Detector,
        inferer: Inferer,
        val_data_loader: Iterable[Sequence[Mapping[str, Any]]],
        device: torch.device | str,
        key_metric: str = "mean_sensitivity",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
        average: WeightAverage | None = None,
        val_handlers: Sequence[Any] = (),
    ) -> None:
        device = torch.device(device)
        super().__init__(
            device,
            val_data_loader,
            decollate=False,
            key_val_metric={key_metric: FrocMetric()},
            metric_cmp_fn=_is_better,
        )
        self.detector = detector
        self.inferer = inferer
        self.precision = check_precision(precision, device)
        self.average = average
        self._register_handlers(list(val_handlers))

    def run(self, global_epoch: int = 1) -> None:
        """Evaluates all images once; `global_epoch` is the trainer's epoch."""
        network = unwrapped(self.detector.network)
        average = nullcontext() if self.average is None else self.average.applied_to(network)
        with average, evaluated_alone(self.detector):
            super().run(global_epoch)

    def _iteration(
        self, engine: Any, batch: Sequence[Mapping[str, Any]]
    ) -> list[tuple[ImageRecord, Detections]]:
        device = self.state.device
        self.detector.eval()
        output = []
        with torch.inference_mode(), autocast(self.precision, device):
            for sample in batch:
                found = self.inferer(sample["image"].to(device, non_blocking=True))
                found_original = detections_in_original(sample, found, min_area_mm2=self.inferer.min_area_mm2)
                output.append((record_of(sample), found_original))
        return output


def _is_better(current: float, best: float) -> bool:
    """Greater is better; an undefined best (NaN) is beaten by any figure."""
    return current > best or (math.isnan(best) and not math.isnan(current))
