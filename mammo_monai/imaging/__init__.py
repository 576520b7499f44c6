"""Grey images as numpy arrays: the breast region, artifacts, intensity; nothing is ever mutated."""

from mammo_monai.imaging.artifacts import remove_artifacts
from mammo_monai.imaging.breast import breast_bounding_box, breast_region
from mammo_monai.imaging.intensity import (
    global_contrast_normalise,
    scale_percentile,
    scale_range,
    to_eight_bit,
)

__all__ = [
    "breast_bounding_box",
    "breast_region",
    "global_contrast_normalise",
    "remove_artifacts",
    "scale_percentile",
    "scale_range",
    "to_eight_bit",
]
