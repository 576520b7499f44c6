"""MONAI dictionary transforms for mammograms: boxes follow pixels, frames record the way."""

from mammo_monai.transforms.augment_intensity import RandContrastd, RandNoised
from mammo_monai.transforms.augment_spatial import (
    RandCropKeepingBoxesd,
    RandFlipsd,
    RandQuarterTurnsd,
    RandRotateScaled,
)
from mammo_monai.transforms.boxes import ClipBoxesd, EnlargeBoxesd
from mammo_monai.transforms.breast import CropBreastd
from mammo_monai.transforms.candidates import CandidateRegionsd
from mammo_monai.transforms.flip import FlipRightd
from mammo_monai.transforms.input_difference import InputDifference, input_difference
from mammo_monai.transforms.intensity import NormaliseIntensityd
from mammo_monai.transforms.load import LoadMammogramd
from mammo_monai.transforms.noise import ReduceNoised
from mammo_monai.transforms.prepare import PrepareMammogramd
from mammo_monai.transforms.presets import (
    evaluation_transforms,
    inference_transforms,
    training_transforms,
)
from mammo_monai.transforms.recipe import PREPARED_VERSION, Recipe, image_recipe
from mammo_monai.transforms.resize import ResizeShortSided, ResizeToSpacingd, StretchToSized
from mammo_monai.transforms.sections import CutSectiond

__all__ = [
    "PREPARED_VERSION",
    "CandidateRegionsd",
    "ClipBoxesd",
    "CropBreastd",
    "CutSectiond",
    "EnlargeBoxesd",
    "FlipRightd",
    "InputDifference",
    "LoadMammogramd",
    "NormaliseIntensityd",
    "PrepareMammogramd",
    "RandContrastd",
    "RandCropKeepingBoxesd",
    "RandFlipsd",
    "RandNoised",
    "RandQuarterTurnsd",
    "RandRotateScaled",
    "Recipe",
    "ReduceNoised",
    "ResizeShortSided",
    "ResizeToSpacingd",
    "StretchToSized",
    "evaluation_transforms",
    "image_recipe",
    "inference_transforms",
    "input_difference",
    "training_transforms",
]
