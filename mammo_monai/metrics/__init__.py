"""Scores detections against annotated lesions: FROC, AP, ROC, JAFROC, with intervals and paired tests."""

from mammo_monai.metrics.agreement import Agreement, detection_agreement
from mammo_monai.metrics.area_resampling import AreaDifference
from mammo_monai.metrics.average_precision import (
    COCO_MIN_IOU,
    CocoAveragePrecision,
    average_precision,
    coco_average_precision,
)
from mammo_monai.metrics.bootstrap import Interval, sensitivity_intervals, wilson_interval
from mammo_monai.metrics.calibrated_files import POINTS_RULE, CalibratedFiles, calibrate_files
from mammo_monai.metrics.calibration import (
    brier_score,
    calibrate,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    hit_probabilities,
    reliability_bins,
)
from mammo_monai.metrics.classification import (
    ClassificationFigures,
    ClassifiedUnits,
    Figure,
    classification_figures,
)
from mammo_monai.metrics.classification_files import ScoredClasses, score_class_files, score_classes
from mammo_monai.metrics.classification_pairs import McNemar, PairedFigure, mcnemar_test, paired_figures
from mammo_monai.metrics.classification_runs import RunsFigure, summarise_runs
from mammo_monai.metrics.compared_areas import NamedDifference, area_differences
from mammo_monai.metrics.delong import auc_difference, auc_interval, delong_variance
from mammo_monai.metrics.evaluation import evaluate_detections
from mammo_monai.metrics.fold_summary import SUMMARY_FPPI, FoldSummary, summarise_folds
from mammo_monai.metrics.froc import (
    MEAN_FPPI,
    FrocCurve,
    froc_curve,
    mean_sensitivity,
    score_at_fppi,
    sensitivity_at_fppi,
)
from mammo_monai.metrics.image_figures import FIGURES, ImageFigures, image_figures, youden_threshold
from mammo_monai.metrics.image_ratings import image_ratings, marks_nothing, rates_images
from mammo_monai.metrics.jafroc import JafrocFigure, jafroc_difference, jafroc_figure
from mammo_monai.metrics.levels import count_by_rule, group_lesions, match_by_rule
from mammo_monai.metrics.matching import Matches, match_detections, match_lesions, match_pooled
from mammo_monai.metrics.normal_curve import NormalCurve, normal_images_curve
from mammo_monai.metrics.normals import FalsePositivePoint, false_positives_on_normals, poisson_interval
from mammo_monai.metrics.operating_points import CALIBRATED_FPPI, choose_points, threshold_between
from mammo_monai.metrics.overlap_sweep import OverlapSweep, sweep_overlap
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
from mammo_monai.metrics.pooling import PooledImages, join_on_record_id, pool_images, pool_records
from mammo_monai.metrics.precision_recall import PrecisionRecall, best_f1_score, precision_recall_at
from mammo_monai.metrics.roc import RocCurve, roc_auc, roc_curve, sensitivity_at_specificity
from mammo_monai.metrics.rule import OPERATING_FPPI, FalsePositivesOn, FrocRule, HitRule, Level, rule_phrase
from mammo_monai.metrics.scored_files import evaluate_files, score_files
from mammo_monai.metrics.scored_units import ImageRatings, UnitScores, rate_units, unit_scores
from mammo_monai.metrics.significance import (
    DifferenceCurve,
    PairedDifference,
    difference_curve,
    paired_differences,
)
from mammo_monai.metrics.size_bands import AREA_BANDS, SIZE_BANDS, AreaBand, SizeBand, area_band, size_band

__all__ = [
    "AREA_BANDS",
    "CALIBRATED_FPPI",
    "COCO_MIN_IOU",
    "FIGURES",
    "MEAN_FPPI",
    "OPERATING_FPPI",
    "POINTS_RULE",
    "SIZE_BANDS",
    "SUMMARY_FPPI",
    "Agreement",
    "AreaBand",
    "AreaDifference",
    "CalibratedFiles",
    "ClassificationFigures",
    "ClassifiedUnits",
    "CocoAveragePrecision",
    "DifferenceCurve",
    "FalsePositivePoint",
    "FalsePositivesOn",
    "Figure",
    "FoldSummary",
    "FrocCurve",
    "FrocRule",
    "HitRule",
    "ImageFigures",
    "ImageRatings",
    "Interval",
    "JafrocFigure",
    "LesionApart",
    "LesionCounts",
    "Level",
    "MarkedAt",
    "Matches",
    "McNemar",
    "NamedDifference",
    "NormalCurve",
    "OverlapSweep",
    "PairedDifference",
    "PairedFigure",
    "PairedMatches",
    "PooledImages",
    "PrecisionRecall",
    "RocCurve",
    "RunsFigure",
    "ScoredClasses",
    "SizeBand",
    "UnitScores",
    "area_band",
    "area_differences",
    "auc_difference",
    "auc_interval",
    "average_precision",
    "best_f1_score",
    "brier_score",
    "calibrate",
    "calibrate_files",
    "choose_points",
    "classification_figures",
    "coco_average_precision",
    "count_by_rule",
    "delong_variance",
    "detection_agreement",
    "difference_curve",
    "evaluate_detections",
    "evaluate_files",
    "expected_calibration_error",
    "false_positives_on_normals",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature",
    "froc_curve",
    "group_lesions",
    "hit_probabilities",
    "image_figures",
    "image_ratings",
    "jafroc_difference",
    "jafroc_figure",
    "join_on_record_id",
    "lesion_counts",
    "lesions_apart",
    "marked_at",
    "marks_nothing",
    "match_by_rule",
    "match_detections",
    "match_lesions",
    "match_pooled",
    "mcnemar_test",
    "mean_sensitivity",
    "normal_images_curve",
    "pair_detections",
    "paired_differences",
    "paired_figures",
    "poisson_interval",
    "pool_images",
    "pool_records",
    "precision_recall_at",
    "rate_units",
    "rates_images",
    "reliability_bins",
    "roc_auc",
    "roc_curve",
    "rule_phrase",
    "score_at_fppi",
    "score_class_files",
    "score_classes",
    "score_files",
    "sensitivity_at_fppi",
    "sensitivity_at_specificity",
    "sensitivity_intervals",
    "size_band",
    "summarise_folds",
    "summarise_runs",
    "sweep_overlap",
    "threshold_between",
    "unit_scores",
    "wilson_interval",
    "youden_threshold",
]
