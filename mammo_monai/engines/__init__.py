"""Trains and evaluates networks on Ignite and MONAI: steps, checkpoints, figures, progress."""

from mammo_monai.engines.checkpoint import CheckpointHandler
from mammo_monai.engines.classification import ClassificationEvaluator
from mammo_monai.engines.classification_scores import ClassScorer
from mammo_monai.engines.curves import TensorBoardHandler
from mammo_monai.engines.distributed import distributed_model, leave_process_group, process_device
from mammo_monai.engines.ema import WeightAverage
from mammo_monai.engines.evaluator import DetectionEvaluator
from mammo_monai.engines.ignite_metrics import AveragePrecisionMetric, FrocMetric, ImageAucMetric
from mammo_monai.engines.monai_metrics import (
    CumulativeAveragePrecision,
    CumulativeFroc,
    CumulativeImageAuc,
    predictions_and_truths,
)
from mammo_monai.engines.optimisation import epochs_for, make_optimizer, make_schedule
from mammo_monai.engines.progress import ProgressHandler
from mammo_monai.engines.stages import (
    StageHandler,
    TrainingPlan,
    TrainingStage,
    staged_optimizer,
    training_stages,
)
from mammo_monai.engines.trainer import ModelTrainer
from mammo_monai.engines.validation import Validation

__all__ = [
    "AveragePrecisionMetric",
    "CheckpointHandler",
    "ClassScorer",
    "ClassificationEvaluator",
    "CumulativeAveragePrecision",
    "CumulativeFroc",
    "CumulativeImageAuc",
    "DetectionEvaluator",
    "FrocMetric",
    "ImageAucMetric",
    "ModelTrainer",
    "ProgressHandler",
    "StageHandler",
    "TensorBoardHandler",
    "TrainingPlan",
    "TrainingStage",
    "Validation",
    "WeightAverage",
    "distributed_model",
    "epochs_for",
    "leave_process_group",
    "make_optimizer",
    "make_schedule",
    "predictions_and_truths",
    "process_device",
    "staged_optimizer",
    "training_stages",
]
