"""Answers of a trained classifier on patches of known class, written to class_scores.json."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from ignite.engine import Events

from mammo_monai.data import EpochDataLoader
from mammo_monai.engines.classification import ClassificationEvaluator
from mammo_monai.networks.contract import Classifier
from mammo_monai.schema import ClassScore, ClassScoresFile, write_class_scores

logger = logging.getLogger(__name__)


class ClassScorer:
    """Runs a classifier over a loader's data set and writes what it answered.

    Args:
        data_loader: of a `PatchDataset`, in order; its data set names the classes.
        output: class_scores.json. model: what the file says of the model.
    """

    def __init__(
        self,
        *,
        classifier: Classifier,
        data_loader: EpochDataLoader,
        device: torch.device | str,
        output: str | Path,
        model: Mapping[str, Any],
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    ) -> None:
        self.data_loader = data_loader
        self.output, self.model = Path(output), dict(model)
        self.evaluator = ClassificationEvaluator(
            classifier=classifier, val_data_loader=data_loader, device=device, precision=precision
        )
        self.evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._keep)
        self._scores: list[ClassScore] = []

    def run(self) -> Path:
        """Writes the file and returns its path."""
        self._scores = []
        self.evaluator.run()
        names = tuple(self.data_loader.dataset.class_names)  # type: ignore[attr-defined]  # see class docstring
        write_class_scores(self.output, ClassScoresFile(tuple(self._scores), names, self.model))
        figures = self.evaluator.state.metrics
        logger.info(
            "%d answers, accuracy %.3f, AUC %.3f: wrote %s",
            len(self._scores),
            figures["accuracy"],
            figures["auc"],
            self.output.name,
        )
        return self.output

    def _keep(self) -> None:
        self._scores.extend(self.evaluator.state.output)
