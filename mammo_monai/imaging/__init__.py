"""Grey images as numpy arrays: breast region, pectoral muscle, artifacts, intensity; nothing is mutated."""

from mammo_monai.imaging.artifacts import remove_artifacts
from mammo_monai.imaging.breast import breast_bounding_box, breast_region, with_margin
from mammo_monai.imaging.intensity import (
    global_contrast_normalise,
    scale_percentile,
    scale_range,
    to_eight_bit,
)
from mammo_monai.imaging.orientation import Side, chest_wall_side
from mammo_monai.imaging.pectoral import pectoral_muscle
from mammo_monai.imaging.release import eight_bit_square

__all__ = [
    "Side",
    "breast_bounding_box",
    "breast_region",
    "chest_wall_side",
    "eight_bit_square",
    "global_contrast_normalise",
    "pectoral_muscle",
    "remove_artifacts",
    "scale_percentile",
    "scale_range",
    "to_eight_bit",
    "with_margin",
]
