"""One patch out of a large image, turned, scaled and mirrored as it is cut: its corners hold tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.transforms.sample import MAX_16_BIT

PatchAugment = Literal["none", "p3"]
ROTATE_DEG = 30.0
SCALE = (0.75, 1.25)


@dataclass(frozen=True)
class PatchPlacement:
    """How a patch is cut: mirrored, scaled, turned clockwise as displayed, about its centre, which stays."""

    angle_deg: float = 0.0
    scale: float = 1.0
    is_flipped: bool = False


UPRIGHT = PatchPlacement()


def draw_placement(augment: PatchAugment, generator: np.random.Generator) -> PatchPlacement:
    """A placement by chance: "p3" mirrors one half, turns by up to ±30°, scales by 0.75–1.25, all uniform.

    Raises:
        ValueError: no such augmentation.

    Source: P3 (Agarwal et al., 2019); that every patch is turned and scaled: the habit of the library it was
    made with.
    """
    if augment not in get_args(PatchAugment):
        raise ValueError(
            f"augment of patches must be {' or '.join(get_args(PatchAugment))}, got {augment!r}."
        )
    if augment == "none":
        return UPRIGHT
    angle, scale, coin = generator.random(3)
    return PatchPlacement(
        float((2 * angle - 1) * ROTATE_DEG), float(SCALE[0] + scale * (SCALE[1] - SCALE[0])), bool(coin < 0.5)
    )


def cut_patch(
    pixels: NDArray[np.uint16],
    centre: tuple[float, float],
    patch_px: int,
    placement: PatchPlacement = UPRIGHT,
) -> Tensor:
    """The patch around a centre as float32 (1, p, p) in [0, 1]; 0 where the image ends.

    Args:
        pixels: shape (H, W), 65535 for 1.0; may be mapped, only what is needed is read.
        centre: `(x, y)`, outer-corner pixels. An upright patch on whole pixels is copied; others are
            resampled once, bilinear.
    """
    half = patch_px / 2
    x, y = centre[0] - half, centre[1] - half
    if placement == UPRIGHT and x == int(x) and y == int(y):
        return torch.from_numpy(_window(pixels, int(x), int(y), patch_px, patch_px))[None]
    angle = math.radians(placement.angle_deg)
    cosine, sine = math.cos(angle), math.sin(angle)
    reach = half / placement.scale * (abs(cosine) + abs(sine)) + 1
    left, top = math.floor(centre[0] - reach), math.floor(centre[1] - reach)
    width, height = math.ceil(centre[0] + reach) - left, math.ceil(centre[1] + reach) - top
    source = torch.from_numpy(_window(pixels, left, top, width, height))
    # From the patch to the source, in grid_sample's units: half a side, origin at the middle.
    across, mirror = patch_px / placement.scale, -1.0 if placement.is_flipped else 1.0
    theta = torch.tensor(
        [
            [mirror * across * cosine / width, across * sine / width, 2 * (centre[0] - left) / width - 1],
            [-mirror * across * sine / height, across * cosine / height, 2 * (centre[1] - top) / height - 1],
        ],
        dtype=torch.float32,
    )
    grid = F.affine_grid(theta[None], [1, 1, patch_px, patch_px], align_corners=False)
    return F.grid_sample(source[None, None], grid, mode="bilinear", align_corners=False)[0]


def _window(pixels: NDArray[np.uint16], left: int, top: int, width: int, height: int) -> NDArray[np.float32]:
    """The rectangle as float32 in [0, 1], 0 where it reaches outside."""
    inside = pixels[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    window = np.zeros((height, width), dtype=np.float32)
    rows, columns = max(-top, 0), max(-left, 0)
    np.divide(
        inside,
        np.float32(MAX_16_BIT),
        out=window[rows : rows + inside.shape[0], columns : columns + inside.shape[1]],
        dtype=np.float32,
    )
    return window
