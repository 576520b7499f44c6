"""Scores detections against annotated lesions: matching, FROC, intervals, average precision; numpy only."""

from mammo_monai.metrics.average_precision import average_precision
from mammo_monai.metrics.bootstrap import Interval, sensitivity_intervals, wilson_interval
from mammo_monai.metrics.evaluation import evaluate_detections
from mammo_monai.metrics.froc import (
    MEAN_FPPI,
    FrocCurve,
    froc_curve,
    mean_sensitivity,
    score_at_fppi,
    sensitivity_at_fppi,
)
from mammo_monai.metrics.matching import Matches, match_detections, match_pooled
from mammo_monai.metrics.pooling import PooledImages, join_on_record_id, pool_images
from mammo_monai.metrics.rule import OPERATING_FPPI, FrocRule
from mammo_monai.metrics.scored_files import evaluate_files, score_files
from mammo_monai.metrics.size_bands import SIZE_BANDS, SizeBand, size_band

__all__ = [
    "MEAN_FPPI",
    "OPERATING_FPPI",
    "SIZE_BANDS",
    "FrocCurve",
    "FrocRule",
    "Interval",
    "Matches",
    "PooledImages",
    "SizeBand",
    "average_precision",
    "evaluate_detections",
    "evaluate_files",
    "froc_curve",
    "join_on_record_id",
    "match_detections",
    "match_pooled",
    "mean_sensitivity",
    "pool_images",
    "score_at_fppi",
    "score_files",
    "sensitivity_at_fppi",
    "sensitivity_intervals",
    "size_band",
    "wilson_interval",
]
