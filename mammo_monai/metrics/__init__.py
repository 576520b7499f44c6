"""Scores detections against annotated lesions: matching, FROC, intervals, average precision; numpy only."""

from mammo_monai.metrics.agreement import Agreement, detection_agreement
from mammo_monai.metrics.average_precision import average_precision
from mammo_monai.metrics.bootstrap import Interval, sensitivity_intervals, wilson_interval
from mammo_monai.metrics.calibrated_files import POINTS_RULE, CalibratedFiles, calibrate_files
from mammo_monai.metrics.calibration import (
    brier_score,
    calibrate,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    hit_probabilities,
    reliability_bins,
)
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
from mammo_monai.metrics.normals import NormalPoint, false_positives_on_normals, poisson_interval
from mammo_monai.metrics.operating_points import CALIBRATED_FPPI, choose_points, threshold_between
from mammo_monai.metrics.pairing import (
    LesionApart,
    LesionCounts,
    MarkedAt,
    PairedMatches,
    lesion_counts,
    lesions_apart,
    marked_at,
    pair_detections,
)
from mammo_monai.metrics.pooling import PooledImages, join_on_record_id, pool_images
from mammo_monai.metrics.rule import OPERATING_FPPI, FrocRule
from mammo_monai.metrics.scored_files import evaluate_files, score_files
from mammo_monai.metrics.significance import (
    DifferenceCurve,
    PairedDifference,
    difference_curve,
    paired_differences,
)
from mammo_monai.metrics.size_bands import SIZE_BANDS, SizeBand, size_band

__all__ = [
    "CALIBRATED_FPPI",
    "MEAN_FPPI",
    "OPERATING_FPPI",
    "POINTS_RULE",
    "SIZE_BANDS",
    "Agreement",
    "CalibratedFiles",
    "DifferenceCurve",
    "FrocCurve",
    "FrocRule",
    "Interval",
    "LesionApart",
    "LesionCounts",
    "MarkedAt",
    "Matches",
    "NormalPoint",
    "PairedDifference",
    "PairedMatches",
    "PooledImages",
    "SizeBand",
    "average_precision",
    "brier_score",
    "calibrate",
    "calibrate_files",
    "choose_points",
    "detection_agreement",
    "difference_curve",
    "evaluate_detections",
    "evaluate_files",
    "expected_calibration_error",
    "false_positives_on_normals",
    "fit_isotonic",
    "fit_platt",
    "froc_curve",
    "hit_probabilities",
    "join_on_record_id",
    "lesion_counts",
    "lesions_apart",
    "marked_at",
    "match_detections",
    "match_pooled",
    "mean_sensitivity",
    "pair_detections",
    "paired_differences",
    "poisson_interval",
    "pool_images",
    "reliability_bins",
    "score_at_fppi",
    "score_files",
    "sensitivity_at_fppi",
    "sensitivity_intervals",
    "size_band",
    "threshold_between",
    "wilson_interval",
]
