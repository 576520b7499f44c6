"""Boxes, contours and frames as numbers: pure functions on numpy arrays, no pixels, no files."""

from mammo_monai.geometry.axes import rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.geometry.boxes import (
    box_area,
    box_iou,
    check_boxes,
    clip_boxes,
    enlarge_boxes,
    flip_boxes,
    merge_overlapping_boxes,
    scale_boxes,
)
from mammo_monai.geometry.contours import contour_area_px, contour_box, mask_box
from mammo_monai.geometry.frame import Crop, Flip, ImageFrame, Scale

__all__ = [
    "Crop",
    "Flip",
    "ImageFrame",
    "Scale",
    "box_area",
    "box_iou",
    "check_boxes",
    "clip_boxes",
    "contour_area_px",
    "contour_box",
    "enlarge_boxes",
    "flip_boxes",
    "mask_box",
    "merge_overlapping_boxes",
    "rowcol_to_xyxy",
    "scale_boxes",
    "xyxy_to_rowcol",
]
