"""Windows at lesions as Shen's sets have them: one centred on each, or ten around it; and off all lesions.

Centres are `(x, y)`, in pixels of the prepared image.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from mammo_monai.data.patch_plan import PatchPlan
from mammo_monai.data.patch_regions import LesionRegion, Points, area_within
from mammo_monai.geometry.contours import contour_area_px

AROUND = 10
MIN_OVERLAP = 0.9
_TRIES = 200  # draws before the overlap asked for is lowered
_LOWERED = 0.9


def lesion_centres(
    region: LesionRegion, size: tuple[int, int], plan: PatchPlan, generator: np.random.Generator
) -> Points:
    """Centres of the windows of one lesion, shape (1, 2) for S1 and (10, 2) for S10; they may be alike.

    A window is moved into the image where it fits. One around a lesion holds at least 0.9 of the lesion, or
    the lesion fills at least 0.9 of it; where 200 draws find no such window, 0.9 of that is asked for, and so
    on.

    Args:
        size: `(width, height)` of the image.

    Source: Shen et al., 2019: overlap of 0.9 with the lesion or of the patch, lowered in steps where none is
    found (their published code).
    """
    x_min, y_min, x_max, y_max = region.box
    centre = np.array([(x_min + x_max) / 2, (y_min + y_max) / 2])
    if plan.scheme == "S1":
        return _placed(centre[None], size, plan.patch_px)
    sides = np.array([x_max - x_min, y_max - y_min])
    # Further off, less than the wanted share of the smaller of the two is inside the other.
    reach = np.abs(plan.patch_px - sides) / 2 + (1 - MIN_OVERLAP) * np.minimum(plan.patch_px, sides)
    found: list[Points] = []
    wanted = MIN_OVERLAP
    while len(found) < AROUND:
        drawn = centre + reach * generator.uniform(-1, 1, size=(_TRIES, 2))
        placed = _placed(drawn, size, plan.patch_px)
        fits = (each for each in placed if overlap_share(region, each, plan.patch_px) >= wanted)
        found += islice(fits, AROUND - len(found))
        wanted *= _LOWERED
    return np.array(found)


def overlap_share(region: LesionRegion, centre: Points, patch_px: int) -> float:
    """Area of lesion in the window, as a share of the lesion or of the window, whichever is larger."""
    half = patch_px / 2
    x, y = float(centre[0]), float(centre[1])
    area = area_within(region.polygon, (x - half, y - half, x + half, y + half))
    smaller = min(contour_area_px(region.polygon), float(patch_px) ** 2)
    return area / smaller if smaller > 0 else 1.0


def background_centres(regions: Sequence[LesionRegion], centres: Points, patch_px: int) -> Points:
    """Those of the windows' centres (N, 2) whose window touches the box of no lesion, of any type."""
    half = patch_px / 2
    is_free = np.ones(len(centres), dtype=bool)
    for region in regions:
        x_min, y_min, x_max, y_max = region.box
        x, y = centres[:, 0], centres[:, 1]
        is_free &= (x + half <= x_min) | (x - half >= x_max) | (y + half <= y_min) | (y - half >= y_max)
    return centres[is_free]


def _placed(centres: Points, size: tuple[int, int], patch_px: int) -> Points:
    """Windows on whole pixels, moved into the image where they fit."""
    half = patch_px / 2
    low = np.round(centres - half)
    room = np.array(size) - patch_px
    return np.where(room >= 0, np.clip(low, 0, np.maximum(room, 0)), low) + half
