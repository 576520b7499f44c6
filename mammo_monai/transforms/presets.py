"""The recipe of each task: which transforms, in which order. Parts that can be cached come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from monai.transforms import Compose

from mammo_monai.transforms.augment_intensity import RandContrastd, RandNoised
from mammo_monai.transforms.augment_spatial import (
    RandCropKeepingBoxesd,
    RandFlipsd,
    RandQuarterTurnsd,
    RandRotateScaled,
)
from mammo_monai.transforms.boxes import ClipBoxesd, EnlargeBoxesd
from mammo_monai.transforms.candidates import CandidateRegionsd
from mammo_monai.transforms.intensity import IntensityMethod, NormaliseIntensityd
from mammo_monai.transforms.prepare import MAX_ASPECT, PrepareMammogramd, resize_steps
from mammo_monai.transforms.recipe import (
    DEFAULT_SIZE_PX,
    Preset,
    Recipe,
    RecipeOptions,
    Region,
    image_recipe,
)
from mammo_monai.transforms.sections import CutSectiond

if TYPE_CHECKING:
    from typing import Unpack  # of Python 3.11; annotations are not evaluated, so 3.10 runs

__all__ = [
    "MAX_ASPECT",
    "Augment",
    "Preset",
    "Region",
    "evaluation_transforms",
    "inference_transforms",
    "training_transforms",
]

Augment = Literal["none", "light", "strong", "p1", "p2", "p3"]
Steps = list[Callable[..., Any]]


def training_transforms(
    *,
    intensity: IntensityMethod = "range",
    enlarge: float = 0.1,
    augment: Augment = "p2",
    candidates: int = 0,
    **recipe: Unpack[RecipeOptions],
) -> Compose:
    """From a sample of `load_samples` to one for the detector, with augmentation.

    A sample of a prepared manifest (`mammo-monai prepare`) gives the same, without decoding and cropping.

    Args:
        preset:
            "full_image": the breast, its short side `size_px` (P2).
            "sections", "full_and_sections": give the data set the same word as `views`; sections keep the
            original resolution (P2), whole images are resized.
            "fixed_size": the breast stretched to a square of `size_px`.
            "fixed_portrait": the breast stretched to `size_px` high and half as wide, about its own ratio:
            one size for all images, whatever ratio a release of the data has left them.
            "fixed_spacing": the breast at `spacing_mm` per pixel.
        size_px: see `preset`; a long side above five times this is resized to that instead.
        region: how the breast is found: "otsu" (film), "global" (digital), "none" leaves the whole image.
        remove_pectoral: blacken the pectoral muscle of oblique views, see `CropBreastd`.
        noise, noise_px: filter the original pixels: "median", "gaussian", "bilateral" or "impulse" in a
            window of 3, 5 or 7; None or "none" leaves them. See `imaging.reduce_noise`.
        suppress_artifacts: fill in what is radiopaque on the breast, see `imaging.suppress_radiopaque`.
        intensity: see `NormaliseIntensityd`.
        enlarge: fraction by which targets grow; P2's 10 %.
        augment:
            "p1": flips, rotation, brightness and contrast. "p2": flips along both axes, quarter turns, crops.
            "p3": left-right flip, ±30°, scale 0.75–1.25. "light": left-right flip, ±10°, scale 0.9–1.1, weak
            brightness, contrast and noise. "strong": flips along both axes, ±15°, scale 0.75–1.3, shift 10 %,
            brightness, contrast, gamma, noise. No source is known for the last two. "none".
        candidates: add at most as many `candidates`, see `CandidateRegionsd`; 0 adds no such key. They are
            found on the augmented image: found before, augmentation would leave them behind.

    Raises:
        ValueError: a word that is not listed, or "fixed_spacing" without `spacing_mm`.
    """
    prepared = image_recipe(**recipe)
    steps = _prepared(prepared, intensity, [])
    steps.append(EnlargeBoxesd(enlarge))
    if not prepared.is_resized:
        steps += [CutSectiond(), *_whole_image_resize(recipe)]
    return Compose([*steps, *_augmentation(augment), ClipBoxesd(), *_candidates(candidates)])


def evaluation_transforms(
    *, intensity: IntensityMethod = "range", candidates: int = 0, **recipe: Unpack[RecipeOptions]
) -> Compose:
    """The deterministic part of `training_transforms`, for whole images; `Compose.inverse` leads back.

    For the presets with sections it gives the resized whole image, from the same prepared copy as training;
    P2's inference with sections takes `inference_transforms("sections")`.
    """
    prepared = image_recipe(**recipe)
    resize = [] if prepared.is_resized else _whole_image_resize(recipe)
    return Compose([*_prepared(prepared, intensity, resize), *_candidates(candidates)])


def inference_transforms(
    mode: Literal["full", "sections", "single_pass", "sliding"] = "full",
    *,
    intensity: IntensityMethod = "range",
    candidates: int = 0,
    **recipe: Unpack[RecipeOptions],
) -> Compose:
    """What an inferer of `mode` needs: `evaluation_transforms` in mode full, else the breast unresized."""
    if mode == "full":
        return evaluation_transforms(intensity=intensity, candidates=candidates, **recipe)
    unresized: RecipeOptions = {**recipe, "preset": "sections"}
    return Compose([*_prepared(image_recipe(**unresized), intensity, []), *_candidates(candidates)])


def _prepared(recipe: Recipe, intensity: IntensityMethod, resize: Steps) -> Steps:
    return [PrepareMammogramd(recipe), *resize, NormaliseIntensityd(intensity)]


def _whole_image_resize(recipe: RecipeOptions) -> Steps:
    return list(resize_steps(image_recipe(size_px=recipe.get("size_px", DEFAULT_SIZE_PX))))


def _candidates(max_regions: int) -> Steps:
    return [CandidateRegionsd(max_regions)] if max_regions else []


def _augmentation(augment: Augment) -> Steps:
    recipes: dict[str, Steps] = {
        "none": [],
        "light": [
            RandFlipsd(0.5),
            RandRotateScaled(0.5, rotate_deg=10.0, scale=(0.9, 1.1), shift_fraction=0.05),
            RandContrastd(0.5, brightness=0.05, contrast=0.1, gamma=0.1),
            RandNoised(0.2, max_sd=0.01),
        ],
        "strong": [
            RandFlipsd(0.5, 0.5),
            RandRotateScaled(
                0.8, rotate_deg=15.0, scale=(0.75, 1.3), shift_fraction=0.1, min_area_fraction=0.5
            ),
            RandContrastd(0.8, brightness=0.08, contrast=0.25, gamma=0.4),
            RandNoised(0.2, max_sd=0.015),
        ],
        "p1": [RandFlipsd(0.5, 0.5), RandRotateScaled(0.5, scale=(1.0, 1.0)), RandContrastd(0.5)],
        "p2": [RandFlipsd(0.5, 0.5), RandQuarterTurnsd(0.5), RandCropKeepingBoxesd(0.5)],
        "p3": [RandFlipsd(0.5), RandRotateScaled(0.5)],
    }
    if augment not in recipes:
        raise ValueError(f"augment must be {', '.join(recipes)}, got {augment!r}.")
    return recipes[augment]
