"""What decides a prepared image's pixels: preset, size, region, filters; compared before a copy is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypedDict, get_args

from mammo_monai.imaging.noise import NOISE_METHODS, SIZES_PX, NoiseMethod
from mammo_monai.transforms.breast import RegionMethod

Preset = Literal[
    "full_image", "sections", "full_and_sections", "fixed_size", "fixed_portrait", "fixed_spacing"
]
PRESETS: tuple[Preset, ...] = get_args(Preset)
Region = RegionMethod | Literal["none"]
Noise = NoiseMethod | Literal["none"]
Json = Mapping[str, Any]
DEFAULT_SIZE_PX = 600
DEFAULT_NOISE_PX = 3

PREPARED_VERSION = 1
"""Raised when the same recipe gives other pixels than before: prepared sets made earlier are then refused."""

# No detector has finer pixels or as many; beyond, one image takes all memory there is.
MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 10.0
MAX_SIZE_PX = 10_000


class RecipeOptions(TypedDict, total=False):
    """All options of `image_recipe`, for functions that pass them on."""

    preset: Preset
    size_px: int
    spacing_mm: float | None
    region: Region
    remove_pectoral: bool
    noise: Noise | None
    noise_px: int | None
    suppress_artifacts: bool


@dataclass(frozen=True)
class Recipe:
    """The deterministic way from a file to the image that augmentation starts from; see `image_recipe`.

    Attributes:
        preset: "full_image", "fixed_size", "fixed_portrait", "fixed_spacing", or "sections", the breast
            unresized.
        size_px, spacing_mm: None where the preset does not use it.
        region: how the breast is found; "none" keeps the whole image.
        noise, noise_px: method and window of `reduce_noise` at original resolution; None leaves the noise.
        suppress_artifacts: whether markers on the breast are filled in, see `suppress_radiopaque`.
    """

    preset: Preset
    size_px: int | None = None
    spacing_mm: float | None = None
    region: Region = "otsu"
    remove_pectoral: bool = False
    noise: NoiseMethod | None = None
    noise_px: int | None = None
    suppress_artifacts: bool = False

    def as_json(self) -> dict[str, object]:
        """The recipe with its version, as it stands in a prepared set; equal recipes give equal JSON.

        Noise and artifacts stand there only where something is done: sets prepared before stay valid.

        >>> image_recipe(preset="full_and_sections", region="none").as_json()
        {'version': 1, 'preset': 'sections', 'region': 'none', 'remove_pectoral': False}
        """
        values = {name: value for name, value in asdict(self).items() if value is not None}
        if not self.suppress_artifacts:
            del values["suppress_artifacts"]
        return {"version": PREPARED_VERSION, **values}

    @property
    def is_resized(self) -> bool:
        """Whether the prepared image has another resolution than the file."""
        return self.preset != "sections"


def image_recipe(
    *,
    preset: Preset = "full_image",
    size_px: int = DEFAULT_SIZE_PX,
    spacing_mm: float | None = None,
    region: Region = "otsu",
    remove_pectoral: bool = False,
    noise: Noise | None = None,
    noise_px: int | None = None,
    suppress_artifacts: bool = False,
) -> Recipe:
    """The recipe behind a preset's options, without those the preset does not use.

    Args:
        preset, size_px, spacing_mm, region, remove_pectoral: see `training_transforms`.
        noise: "median", "gaussian", "bilateral" or "impulse", see `reduce_noise`; None or "none": nothing.
        noise_px: side of its window in pixels of the original image; None takes 3.
        suppress_artifacts: fill in what is radiopaque on the breast, see `suppress_radiopaque`.

    Raises:
        ValueError: a word that is not listed, "fixed_spacing" without `spacing_mm`, a size that no film has,
            `remove_pectoral` or `suppress_artifacts` without a region, or `noise_px` without `noise`.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be {', '.join(PRESETS[:-1])} or {PRESETS[-1]}, got {preset!r}.")
    if region not in ("otsu", "global", "none"):
        raise ValueError(f"region must be otsu, global or none, got {region!r}.")
    for name, is_asked in (("remove_pectoral", remove_pectoral), ("suppress_artifacts", suppress_artifacts)):
        if is_asked and region == "none":
            raise ValueError(f"{name} needs a breast region: give region otsu or global.")
    method, window_px = _noise(noise, noise_px)
    is_sized = preset not in ("sections", "full_and_sections", "fixed_spacing")
    if is_sized and not 1 <= size_px <= MAX_SIZE_PX:
        raise ValueError(f"size_px must be from 1 to {MAX_SIZE_PX}, got {size_px}.")
    return Recipe(
        "sections" if preset == "full_and_sections" else preset,
        size_px if is_sized else None,
        _spacing_mm(spacing_mm) if preset == "fixed_spacing" else None,
        region,
        remove_pectoral,
        method,
        window_px,
        suppress_artifacts,
    )


def _spacing_mm(spacing_mm: float | None) -> float:
    if spacing_mm is None or not MIN_SPACING_MM <= spacing_mm <= MAX_SPACING_MM:
        raise ValueError(
            f"preset fixed_spacing needs spacing_mm from {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g}, such "
            f"as 0.2, got {spacing_mm}."
        )
    return float(spacing_mm)


def _noise(noise: Noise | None, noise_px: int | None) -> tuple[NoiseMethod | None, int | None]:
    """Method and window, both None where nothing is to be done."""
    if noise is None or noise == "none":
        if noise is None and noise_px is not None:
            raise ValueError(f"noise_px needs noise: give {', '.join(NOISE_METHODS)}, or leave it out.")
        return None, None
    if noise not in NOISE_METHODS:
        raise ValueError(f"noise must be none, {', '.join(NOISE_METHODS)}, got {noise!r}.")
    window_px = DEFAULT_NOISE_PX if noise_px is None else noise_px
    if window_px not in SIZES_PX:
        raise ValueError(f"noise_px must be 3, 5 or 7 pixels of the original image, got {noise_px}.")
    return noise, window_px


def reject_unused(recipe: Recipe, options: Collection[str]) -> None:
    """Refuses options of `image_recipe` that its preset does not use: who gives one expects it to count.

    Raises:
        ValueError: names option and preset.
    """
    for name in options:
        if name not in recipe.as_json() and name != "noise":  # "none" is what leaves no noise there
            raise ValueError(
                f"preset {recipe.preset} does not use {name}; leave it out, or give another preset."
            )


def recipe_text(recipe: Json) -> str:
    """A recipe's JSON as words for people.

    >>> recipe_text(image_recipe(size_px=800).as_json())
    'version 1, preset full_image, size_px 800, region otsu, remove_pectoral False'
    """
    return ", ".join(f"{name} {value}" for name, value in recipe.items())


def recipe_options(recipe: Json) -> str:
    """The options of `mammo-monai prepare` that make a recipe.

    >>> recipe_options(image_recipe(size_px=800).as_json())
    '--preset full_image --size-px 800 --region otsu'
    """
    words = []
    for name, value in recipe.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif name != "version" and value is not False:
            words.append(f"{option} {value}")
    return " ".join(words)
