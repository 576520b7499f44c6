"""Runs a classifier over patches or images and keeps its answers beside the true classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from monai.engines import Evaluator

from mammo_monai.engines.classification_metrics import AccuracyMetric, AucMetric, LossMetric
from mammo_monai.engines.distributed import evaluated_alone, unwrapped
from mammo_monai.engines.ema import WeightAverage
from mammo_monai.inference.precision import autocast, check_precision
from mammo_monai.networks.contract import Classifier
from mammo_monai.schema import ClassScore

KeyMetric = Literal["auc", "accuracy", "validation_loss"]


class ClassificationEvaluator(Evaluator):  # type: ignore[misc]  # monai carries no types
    """A MONAI evaluator whose output per iteration is a list of `ClassScore`.

    Its metrics are `auc`, of the probability of not being background; `accuracy`, of all classes; and
    `validation_loss`, the mean cross-entropy. One that is undefined is NaN, never 0.

    Args:
        classifier: switched to evaluation mode.
        val_data_loader: yields lists of samples with `image`, `class_index`, `record_id`, `patient_id`, and
            `site` where there are several per image.
        key_metric: the figure by which the best weights are chosen and a run stops early: the highest "auc"
            or "accuracy", or the lowest "validation_loss" (P3).
        average: if given, its weights are used while evaluating and the network's own restored after.

    Raises:
        ValueError: no such `key_metric`, or the loader's data set names another number of classes than the
            classifier answers.
    """

    def __init__(
        self,
        *,
        classifier: Classifier,
        val_data_loader: Iterable[Sequence[Mapping[str, Any]]],
        device: torch.device | str,
        key_metric: KeyMetric = "auc",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
        average: WeightAverage | None = None,
        val_handlers: Sequence[Any] = (),
    ) -> None:
        metrics: dict[str, Any] = {
            "auc": AucMetric(),
            "accuracy": AccuracyMetric(),
            "validation_loss": LossMetric(),
        }
        if key_metric not in metrics:
            raise ValueError(f"key_metric must be {', '.join(metrics)}, got {key_metric!r}.")
        _check_classes(classifier, val_data_loader)
        device = torch.device(device)
        super().__init__(
            device,
            val_data_loader,
            decollate=False,
            key_val_metric={key_metric: metrics.pop(key_metric)},
            additional_metrics=metrics,
            metric_cmp_fn=is_lower if key_metric == "validation_loss" else is_higher,
        )
        self.classifier = classifier
        self.precision = check_precision(precision, device)
        self.average = average
        self._patients: dict[str, int] = {}
        self._register_handlers(list(val_handlers))

    def run(self, global_epoch: int = 1) -> None:
        """Evaluates everything once; `global_epoch` is the trainer's epoch."""
        network = unwrapped(self.classifier.network)
        average = nullcontext() if self.average is None else self.average.applied_to(network)
        with average, evaluated_alone(self.classifier):
            super().run(global_epoch)

    def _iteration(self, engine: Any, batch: Sequence[Mapping[str, Any]]) -> list[ClassScore]:
        device = self.state.device
        self.classifier.eval()
        with torch.inference_mode(), autocast(self.precision, device):
            answers = self.classifier([each["image"].to(device, non_blocking=True) for each in batch])
        return [
            self._score(sample, answer)  # type: ignore[arg-type]  # a list of dicts in evaluation mode
            for sample, answer in zip(batch, answers, strict=True)
        ]

    def _score(self, sample: Mapping[str, Any], answer: Mapping[str, torch.Tensor]) -> ClassScore:
        patient = self._patients.setdefault(str(sample["patient_id"]), len(self._patients))
        probabilities = answer["probabilities"].double().cpu().tolist()
        site = sample.get("site")
        if site is not None:
            site = (float(site[0]), float(site[1]))  # a list where torch 2.8 pinned the memory
        return ClassScore(
            sample["record_id"], patient, int(sample["class_index"]), tuple(probabilities), site
        )


def _check_classes(classifier: Classifier, loader: Iterable[Any]) -> None:
    """Before hours of training: a class that no patch has, or one the network has not, is a wrong setting."""
    names = getattr(getattr(loader, "dataset", None), "class_names", None)
    answered = getattr(classifier, "num_classes", None)
    if names is not None and answered is not None and len(names) != answered:
        raise ValueError(
            f"num_classes is {answered}, but the patches have {len(names)} classes: {', '.join(names)}. "
            f"Give num_classes {len(names)}, or other classes."
        )


def is_higher(current: float, best: float) -> bool:
    """Whether greater; an undefined best (NaN) is beaten by any figure."""
    return _is_better(current, best, lambda: current > best)


def is_lower(current: float, best: float) -> bool:
    """Whether smaller; an undefined best (NaN) is beaten by any figure."""
    return _is_better(current, best, lambda: current < best)


def _is_better(current: float, best: float, compare: Callable[[], bool]) -> bool:
    return compare() or (math.isnan(best) and not math.isnan(current))
