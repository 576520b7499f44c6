"""Prediction: from an image tensor to candidates (inferers), from images to detections.json (Predictor)."""

from mammo_monai.inference.dense_head import DenseHead, fit_dense_head, load_dense_head, write_dense_head
from mammo_monai.inference.ensemble import fuse_members
from mammo_monai.inference.ensemble_member import Member
from mammo_monai.inference.failures import explained_error
from mammo_monai.inference.fusion import Candidates, drop_small, fuse_passes, merge_boxes_p2, min_area_px
from mammo_monai.inference.fusion_clustering import weighted_box_clustering
from mammo_monai.inference.fusion_files import fuse_files
from mammo_monai.inference.fusion_methods import FUSION_METHODS, FusionRule, fuse_models
from mammo_monai.inference.fusion_weighted_boxes import weighted_box_fusion
from mammo_monai.inference.image_checks import ImageChecks, image_checks, statistics_of_bundle
from mammo_monai.inference.inferers import (
    FullImageInferer,
    Inferer,
    SectionsInferer,
    SlidingWindowInferer2d,
    make_inferer,
)
from mammo_monai.inference.operating_point import ShownAt, shown_at
from mammo_monai.inference.predict import (
    Predictor,
    Progress,
    ProgressLog,
    check_inferer,
    described_model,
    detections_in_original,
)
from mammo_monai.inference.probability_map import ProbabilityMapInferer, probability_map_inferer
from mammo_monai.inference.sections import section_grid
from mammo_monai.inference.single_pass import SinglePassInferer
from mammo_monai.inference.test_time import AugmentedInferer
from mammo_monai.inference.views import Execution, Prediction
from mammo_monai.inference.whole_image import WholeImageInferer, whole_image_inferer
from mammo_monai.inference.written import Written

__all__ = [
    "FUSION_METHODS",
    "AugmentedInferer",
    "Candidates",
    "DenseHead",
    "Execution",
    "FullImageInferer",
    "FusionRule",
    "ImageChecks",
    "Inferer",
    "Member",
    "Prediction",
    "Predictor",
    "ProbabilityMapInferer",
    "Progress",
    "ProgressLog",
    "SectionsInferer",
    "ShownAt",
    "SinglePassInferer",
    "SlidingWindowInferer2d",
    "WholeImageInferer",
    "Written",
    "check_inferer",
    "described_model",
    "detections_in_original",
    "drop_small",
    "explained_error",
    "fit_dense_head",
    "fuse_files",
    "fuse_members",
    "fuse_models",
    "fuse_passes",
    "image_checks",
    "load_dense_head",
    "make_inferer",
    "merge_boxes_p2",
    "min_area_px",
    "probability_map_inferer",
    "section_grid",
    "shown_at",
    "statistics_of_bundle",
    "weighted_box_clustering",
    "weighted_box_fusion",
    "whole_image_inferer",
    "write_dense_head",
]
