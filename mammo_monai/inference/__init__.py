"""Prediction: from an image tensor to candidates (inferers), from images to detections.json (Predictor)."""

from mammo_monai.inference.fusion import Candidates, drop_small, fuse_passes, merge_boxes_p2, min_area_px
from mammo_monai.inference.inferers import (
    FullImageInferer,
    Inferer,
    SectionsInferer,
    SlidingWindowInferer2d,
    make_inferer,
)
from mammo_monai.inference.operating_point import ShownAt, shown_at
from mammo_monai.inference.predict import Predictor, Progress, detections_in_original
from mammo_monai.inference.sections import section_grid
from mammo_monai.inference.test_time import AugmentedInferer
from mammo_monai.inference.views import Execution, Prediction

__all__ = [
    "AugmentedInferer",
    "Candidates",
    "Execution",
    "FullImageInferer",
    "Inferer",
    "Prediction",
    "Predictor",
    "Progress",
    "SectionsInferer",
    "ShownAt",
    "SlidingWindowInferer2d",
    "detections_in_original",
    "drop_small",
    "fuse_passes",
    "make_inferer",
    "merge_boxes_p2",
    "min_area_px",
    "section_grid",
    "shown_at",
]
