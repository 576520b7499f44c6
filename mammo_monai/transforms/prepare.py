"""From a file, or from its prepared copy, to the image that augmentation starts from: the same either way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.transforms import InvertibleTransform, MapTransform, Transform
from torch import Tensor

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import ImageFrame
from mammo_monai.transforms.breast import CropBreastd
from mammo_monai.transforms.flip import FlipRightd
from mammo_monai.transforms.load import LoadedImage, load_image, loaded_sample, targets_of, with_attributes
from mammo_monai.transforms.noise import ReduceNoised
from mammo_monai.transforms.prepared_file import Preparation, read_prepared
from mammo_monai.transforms.recipe import DEFAULT_NOISE_PX, Recipe, recipe_options, recipe_text
from mammo_monai.transforms.resize import ResizeShortSided, ResizeToSpacingd, StretchToSized
from mammo_monai.transforms.sample import Sample, as_float, boxes_of, clipped, with_boxes

# Longest side of a resized image, in short sides: no breast is as narrow, but a failed breast region may be,
# and its enlarged strip would not fit into memory.
MAX_ASPECT = 5


class PrepareMammogramd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Loads, crops to the breast, brings the chest wall to the left, resizes, rounds to 16 bits: no chance.

    Where the recipe says so, artifacts are suppressed before the crop, and noise is reduced after it.
    `image` becomes float32 (1, H, W) on the grid k / 65535; `box`, `label`, `frame` as after
    `LoadMammogramd`, `CropBreastd`, `FlipRightd` and the recipe's resizing. A sample with `prepared` (see
    `mammo-monai prepare`) brings all but the boxes in its file; the result is the same bit for bit, and so is
    the way back (`inverse`).

    Args:
        recipe: see `image_recipe`.

    Raises:
        ManifestError, DicomError: see `LoadMammogramd`; or the copy was prepared by another recipe, is
            damaged, or belongs to another image.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(keys=("image", "box", "label"))
        self.recipe = recipe
        # A sample cut as a section keeps its resolution, but nothing is cut before this step is done.
        self.steps: list[Transform] = [
            *_crop(recipe),
            *_less_noise(recipe),
            FlipRightd(),
            *resize_steps(recipe, resize_sections=True),
        ]
        # Those that the frame records, and that have a way back.
        self._moves = [step for step in self.steps if isinstance(step, InvertibleTransform)]

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The prepared sample."""
        if data.get("prepared") is not None:
            return self._from_copy(data)
        sample = self.sixteen_bit(data, load_image(Path(data["image"])))
        return {**sample, "image": as_float(sample["image"])}

    def sixteen_bit(self, data: Mapping[str, Any], loaded: LoadedImage) -> Sample:
        """The prepared sample of an image read from its file, uint16: what a prepared copy keeps."""
        sample = loaded_sample(data, loaded)
        for step in self.steps:
            sample = step(sample)
        return sample

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample in its original frame; what was cut away is 0."""
        sample = dict(data)
        for step in reversed(self._moves):
            sample = step.inverse(sample)
        return sample

    def _from_copy(self, data: Mapping[str, Any]) -> Sample:
        self._check_recipe(data)
        path = Path(data["image"])
        pixels, about = read_prepared(path)
        _check_identity(path, data, about)
        image = as_float(torch.from_numpy(pixels)[None])
        sample = self._with_boxes_moved({**with_attributes(data, about), **targets_of(data)}, about.frame)
        return {**sample, "image": image, "frame": about.frame}

    def _with_boxes_moved(self, data: Mapping[str, Any], frame: ImageFrame) -> Sample:
        """The sample with boxes as the steps would have left them, cut where the breast was."""
        sample, size = dict(data), (frame.width, frame.height)
        for transform, step in zip(self._moves, frame.steps, strict=True):
            sample, size = with_boxes(sample, step.forward(boxes_of(sample))), step.size_after(size)
            if isinstance(transform, CropBreastd):
                sample["image"] = _blank(size)
                sample = clipped(sample, min_area_fraction=transform.min_area_fraction)
        return sample

    def _check_recipe(self, data: Mapping[str, Any]) -> None:
        found, wanted = data["prepared"].get("recipe"), self.recipe.as_json()
        if found != wanted:
            said = recipe_text(found) if isinstance(found, Mapping) else repr(found)
            raise ManifestError(
                f"{data['image']} (record {data.get('record_id')}): prepared with {said}; this run needs "
                f"{recipe_text(wanted)}. Prepare again: mammo-monai prepare ORIGINAL_MANIFEST --out DIR "
                f"{recipe_options(wanted)}; or give the original manifest."
            )


def resize_steps(recipe: Recipe, *, resize_sections: bool = False) -> list[Transform]:
    """The resizing of a recipe; none for preset sections. `resize_sections`: see `ResizeShortSided`."""
    if recipe.preset == "full_image":
        short_px = recipe.size_px or 0
        return [ResizeShortSided(short_px, MAX_ASPECT * short_px, resize_sections=resize_sections)]
    if recipe.preset == "fixed_size":
        return [StretchToSized(recipe.size_px or 0, recipe.size_px or 0)]
    if recipe.preset == "fixed_portrait":
        return [StretchToSized(max(1, (recipe.size_px or 0) // 2), recipe.size_px or 0)]
    return [ResizeToSpacingd(recipe.spacing_mm or 0)] if recipe.preset == "fixed_spacing" else []


def _crop(recipe: Recipe) -> list[Transform]:
    if recipe.region == "none":
        return []
    return [
        CropBreastd(
            recipe.region,
            remove_pectoral=recipe.remove_pectoral,
            suppress_artifacts=recipe.suppress_artifacts,
        )
    ]


def _less_noise(recipe: Recipe) -> list[Transform]:
    if recipe.noise is None:
        return []
    return [ReduceNoised(recipe.noise, size_px=recipe.noise_px or DEFAULT_NOISE_PX)]


def _blank(size: tuple[int, int]) -> Tensor:
    """An image of that `(width, height)` that takes no memory: boxes are cut at its borders."""
    return torch.zeros((1, 1, 1)).expand(1, size[1], size[0])


def _check_identity(path: Path, data: Mapping[str, Any], about: Preparation) -> None:
    expected = {
        "key": (data["prepared"].get("key"), about.key),
        "record_id": (data.get("record_id"), about.record_id),
        "width × height of the original": (
            (data.get("width") or about.frame.width, data.get("height") or about.frame.height),
            (about.frame.width, about.frame.height),
        ),
    }
    for name, (wanted, found) in expected.items():
        if wanted != found:
            raise ManifestError(
                f"{path} (record {data.get('record_id')}): the manifest says {name} {wanted}, the prepared "
                f"image {found}: they do not belong together. Run mammo-monai prepare again, or copy the "
                "whole prepared folder again."
            )
