"""Grey images as arrays: breast, muscle, artifacts, noise, candidates, intensity; nothing is mutated."""

from mammo_monai.imaging.artifacts import radiopaque_mask, remove_artifacts, suppress_radiopaque
from mammo_monai.imaging.breast import breast_bounding_box, breast_region, with_margin
from mammo_monai.imaging.candidates import candidate_regions
from mammo_monai.imaging.intensity import (
    scale_percentile,
    scale_range,
    to_eight_bit,
)
from mammo_monai.imaging.noise import NOISE_METHODS, NoiseMethod, estimate_noise, reduce_noise
from mammo_monai.imaging.orientation import Side, chest_wall_side
from mammo_monai.imaging.pectoral import pectoral_muscle
from mammo_monai.imaging.release import eight_bit_square

__all__ = [
    "NOISE_METHODS",
    "NoiseMethod",
    "Side",
    "breast_bounding_box",
    "breast_region",
    "candidate_regions",
    "chest_wall_side",
    "eight_bit_square",
    "estimate_noise",
    "pectoral_muscle",
    "radiopaque_mask",
    "reduce_noise",
    "remove_artifacts",
    "scale_percentile",
    "scale_range",
    "suppress_radiopaque",
    "to_eight_bit",
    "with_margin",
]
