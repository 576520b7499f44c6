"""What decides the pixels of a prepared image: preset, size, region; compared before a copy is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mammo_monai.transforms.breast import RegionMethod

Preset = Literal[
    "full_image", "sections", "full_and_sections", "fixed_size", "fixed_portrait", "fixed_spacing"
]
PRESETS: tuple[Preset, ...] = get_args(Preset)
Region = RegionMethod | Literal["none"]
Json = Mapping[str, Any]

PREPARED_VERSION = 1
"""Raised when the same recipe gives other pixels than before: prepared sets made earlier are then refused."""

# No detector has finer pixels or as many; beyond, one image takes all memory there is.
MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 10.0
MAX_SIZE_PX = 10_000


@dataclass(frozen=True)
class Recipe:
    """The deterministic way from a file to the image that augmentation starts from; see `image_recipe`.

    Attributes:
        preset: "full_image", "fixed_size", "fixed_portrait", "fixed_spacing", or "sections", the breast
            unresized.
        size_px, spacing_mm: None where the preset does not use it.
        region: how the breast is found; "none" keeps the whole image.
    """

    preset: Preset
    size_px: int | None = None
    spacing_mm: float | None = None
    region: Region = "otsu"
    remove_pectoral: bool = False

    def as_json(self) -> dict[str, object]:
        """The recipe with its version, as it stands in a prepared set; equal recipes give equal JSON.

        >>> image_recipe(preset="full_and_sections", region="none").as_json()
        {'version': 1, 'preset': 'sections', 'region': 'none', 'remove_pectoral': False}
        """
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return {"version": PREPARED_VERSION, **values}

    @property
    def is_resized(self) -> bool:
        """Whether the prepared image has another resolution than the file."""
        return self.preset != "sections"


def image_recipe(
    *,
    preset: Preset = "full_image",
    size_px: int = 600,
    spacing_mm: float | None = None,
    region: Region = "otsu",
    remove_pectoral: bool = False,
) -> Recipe:
    """The recipe behind a preset's options, without those the preset does not use.

    Raises:
        ValueError: a word that is not listed, "fixed_spacing" without `spacing_mm`, a size that no film has,
            or `remove_pectoral` without a region.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be {', '.join(PRESETS[:-1])} or {PRESETS[-1]}, got {preset!r}.")
    if region not in ("otsu", "global", "none"):
        raise ValueError(f"region must be otsu, global or none, got {region!r}.")
    if remove_pectoral and region == "none":
        raise ValueError("remove_pectoral needs a breast region: give region otsu or global.")
    if preset in ("sections", "full_and_sections"):
        return Recipe("sections", region=region, remove_pectoral=remove_pectoral)
    if preset == "fixed_spacing":
        if spacing_mm is None or not MIN_SPACING_MM <= spacing_mm <= MAX_SPACING_MM:
            raise ValueError(
                f"preset fixed_spacing needs spacing_mm from {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g}, such "
                f"as 0.2, got {spacing_mm}."
            )
        return Recipe(preset, spacing_mm=float(spacing_mm), region=region, remove_pectoral=remove_pectoral)
    if not 1 <= size_px <= MAX_SIZE_PX:
        raise ValueError(f"size_px must be from 1 to {MAX_SIZE_PX}, got {size_px}.")
    return Recipe(preset, size_px, region=region, remove_pectoral=remove_pectoral)


def reject_unused(recipe: Recipe, options: Collection[str]) -> None:
    """Refuses options of `image_recipe` that its preset does not use: who gives one expects it to count.

    Raises:
        ValueError: names option and preset.
    """
    for name in options:
        if name not in recipe.as_json():
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
