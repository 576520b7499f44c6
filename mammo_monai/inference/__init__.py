"""Prediction: from an image tensor to candidates (inferers), from images to detections.json (Predictor)."""

from mammo_monai.inference.fusion import Candidates, drop_small, merge_boxes_p2, min_area_px
from mammo_monai.inference.inferers import (
    Execution,
    FullImageInferer,
    Inferer,
    Prediction,
    SectionsInferer,
    SlidingWindowInferer2d,
    make_inferer,
)
from mammo_monai.inference.predict import Predictor, Progress, detections_in_original
from mammo_monai.inference.sections import section_grid

__all__ = [
    "Candidates",
    "Execution",
    "FullImageInferer",
    "Inferer",
    "Prediction",
    "Predictor",
    "Progress",
    "SectionsInferer",
    "SlidingWindowInferer2d",
    "detections_in_original",
    "drop_small",
    "make_inferer",
    "merge_boxes_p2",
    "min_area_px",
    "section_grid",
]
