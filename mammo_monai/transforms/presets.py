"""The recipe of each task: which transforms, in which order. Parts that can be cached come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from monai.transforms import Compose

from mammo_monai.transforms.augment_intensity import RandContrastd, RandNoised
from mammo_monai.transforms.augment_spatial import (
    RandCropKeepingBoxesd,
    RandFlipsd,
    RandQuarterTurnsd,
    RandRotateScaled,
)
from mammo_monai.transforms.boxes import ClipBoxesd, EnlargeBoxesd
from mammo_monai.transforms.intensity import IntensityMethod, NormaliseIntensityd
from mammo_monai.transforms.prepare import MAX_ASPECT, PrepareMammogramd, resize_steps
from mammo_monai.transforms.recipe import Preset, Recipe, Region, image_recipe
from mammo_monai.transforms.sections import CutSectiond

__all__ = [
    "MAX_ASPECT",
    "Augment",
    "Preset",
    "Region",
    "evaluation_transforms",
    "inference_transforms",
    "section_inference_transforms",
    "training_transforms",
]

Augment = Literal["none", "light", "strong", "p1", "p2", "p3"]
Steps = list[Callable[..., Any]]


def training_transforms(
    *,
    preset: Preset = "full_image",
    size_px: int = 600,
    spacing_mm: float | None = None,
    region: Region = "otsu",
    remove_pectoral: bool = False,
    intensity: IntensityMethod = "range",
    enlarge: float = 0.1,
    augment: Augment = "p2",
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
        intensity: see `NormaliseIntensityd`.
        enlarge: fraction by which targets grow; P2's 10 %.
        augment:
            "p1": flips, rotation, brightness and contrast. "p2": flips along both axes, quarter turns, crops.
            "p3": left-right flip, ±30°, scale 0.75–1.25. "light": left-right flip, ±10°, scale 0.9–1.1, weak
            brightness, contrast and noise. "strong": flips along both axes, ±15°, scale 0.75–1.3, shift 10 %,
            brightness, contrast, gamma, noise. No source is known for the last two. "none".

    Raises:
        ValueError: a word that is not listed, or "fixed_spacing" without `spacing_mm`.
    """
    recipe = image_recipe(
        preset=preset,
        size_px=size_px,
        spacing_mm=spacing_mm,
        region=region,
        remove_pectoral=remove_pectoral,
    )
    steps = _prepared(recipe, intensity, [])
    steps.append(EnlargeBoxesd(enlarge))
    if not recipe.is_resized:
        steps += [CutSectiond(), *_whole_image_resize(size_px)]
    return Compose([*steps, *_augmentation(augment), ClipBoxesd()])


def evaluation_transforms(
    *,
    preset: Preset = "full_image",
    size_px: int = 600,
    spacing_mm: float | None = None,
    region: Region = "otsu",
    remove_pectoral: bool = False,
    intensity: IntensityMethod = "range",
) -> Compose:
    """The deterministic part of `training_transforms`, for whole images; `Compose.inverse` leads back.

    For the presets with sections it gives the resized whole image, from the same prepared copy as training;
    P2's inference with sections takes `section_inference_transforms`.
    """
    recipe = image_recipe(
        preset=preset,
        size_px=size_px,
        spacing_mm=spacing_mm,
        region=region,
        remove_pectoral=remove_pectoral,
    )
    return Compose(_prepared(recipe, intensity, [] if recipe.is_resized else _whole_image_resize(size_px)))


def inference_transforms(
    mode: Literal["full", "sections", "sliding"] = "full",
    *,
    preset: Preset = "full_image",
    size_px: int = 600,
    spacing_mm: float | None = None,
    region: Region = "otsu",
    remove_pectoral: bool = False,
    intensity: IntensityMethod = "range",
) -> Compose:
    """What an inferer of `mode` needs: `evaluation_transforms` in mode full, else the breast unresized."""
    if mode == "full":
        return evaluation_transforms(
            preset=preset,
            size_px=size_px,
            spacing_mm=spacing_mm,
            region=region,
            remove_pectoral=remove_pectoral,
            intensity=intensity,
        )
    return section_inference_transforms(region=region, remove_pectoral=remove_pectoral, intensity=intensity)


def section_inference_transforms(
    *, region: Region = "otsu", remove_pectoral: bool = False, intensity: IntensityMethod = "range"
) -> Compose:
    """The breast at original resolution: what inference with sections or a sliding window cuts itself."""
    recipe = image_recipe(preset="sections", region=region, remove_pectoral=remove_pectoral)
    return Compose(_prepared(recipe, intensity, []))


def _prepared(recipe: Recipe, intensity: IntensityMethod, resize: Steps) -> Steps:
    return [PrepareMammogramd(recipe), *resize, NormaliseIntensityd(intensity)]


def _whole_image_resize(size_px: int) -> Steps:
    return list(resize_steps(image_recipe(size_px=size_px)))


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
