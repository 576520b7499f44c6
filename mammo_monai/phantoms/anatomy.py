"""The breast: outline in both views, skin, nipple, pectoral muscle, fat and fibroglandular tissue.

All in millimetres of the left-breast frame: x grows from the chest wall towards the nipple, y downwards.
Values are attenuation as film and detector see it: 0 is air, about 1 is dense tissue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mammo_monai.phantoms.texture import (
    FloatImage,
    Grid,
    Mask,
    grid_over,
    power_law_field,
    resample,
    ridges,
    smoothstep,
    streaks,
)
from mammo_monai.records import ViewPosition

COARSE_MM = 0.7
"""Spacing of the distance map: skin lines are smooth, so it interpolates to a fraction of a pixel."""


@dataclass(frozen=True)
class BreastPlan:
    """What one breast is, before it is projected.

    Attributes:
        depth_mm: chest wall to nipple. half_height_mm: half the breast's extent along the chest wall, CC.
        density: BI-RADS category 1–4 (a–d). pointedness: exponent of the outline, 1.5 pointed to 2.4 full.
        gland_offset: where the gland lies off the nipple line, in half heights, (CC lateral, MLO superior).
    """

    depth_mm: float
    half_height_mm: float
    density: int
    pointedness: float
    gland_offset: tuple[float, float]
    nipple_mm: float
    strands: float


@dataclass(frozen=True, eq=False)
class BreastView:
    """One projection of one breast on one field.

    Attributes:
        nipple: tip of the breast `(x, y)`, mm. down_mm: from the nipple line to the breast's lower end.
        distance_mm: signed distance to the skin line on the coarse grid, positive inside.
        pectoral: `(width at the top, height)` of the muscle in mm, None in CC views.
    """

    plan: BreastPlan
    view_position: ViewPosition
    grid: Grid
    nipple: tuple[float, float]
    down_mm: float
    distance_mm: FloatImage
    pectoral: tuple[float, float] | None

    def distance_at(self, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
        """Distance to the skin line at points, positive inside, mm; same shape as the inputs."""
        row = np.clip((y_mm / COARSE_MM).astype(np.intp), 0, self.distance_mm.shape[0] - 1)
        column = np.clip((x_mm / COARSE_MM).astype(np.intp), 0, self.distance_mm.shape[1] - 1)
        found: FloatImage = self.distance_mm[row, column]
        return found

    def pectoral_edge(self, y_mm: FloatImage) -> FloatImage:
        """x of the muscle's edge at heights, mm; negative where there is none."""
        if self.pectoral is None:
            return np.full_like(y_mm, -1e3)
        top, height = self.pectoral
        edge: FloatImage = np.where(
            y_mm < height, top * np.clip(1 - y_mm / height, 0, 1) ** np.float32(0.88), height - y_mm
        )
        return edge.astype(np.float32)


def draw_breast_plan(rng: np.random.Generator, *, largest_depth_mm: float, density: int) -> BreastPlan:
    """A breast of random size and build that fits a field; density 1–4 is given."""
    depth = float(np.clip(rng.normal(88, 15), 62, largest_depth_mm))
    return BreastPlan(
        depth_mm=depth,
        half_height_mm=float(np.clip(depth * rng.uniform(0.82, 1.05), 62, 98)),
        density=density,
        pointedness=float(rng.uniform(1.5, 2.3)),
        gland_offset=(float(rng.uniform(-0.3, 0.15)), float(rng.uniform(-0.35, 0.05))),
        nipple_mm=float(rng.uniform(3.0, 5.5)),
        strands=float(rng.uniform(0.6, 1.3)),
    )


def project_breast(
    rng: np.random.Generator, plan: BreastPlan, view_position: ViewPosition, field: Grid
) -> BreastView:
    """The outline of a breast in a CC or MLO view on a field."""
    is_mlo = view_position is ViewPosition.MLO
    coarse = grid_over(field.height_mm, field.width_mm, COARSE_MM)
    height = field.height_mm
    nipple_x = plan.depth_mm * (float(rng.uniform(0.98, 1.05)) if is_mlo else 1.0)
    nipple_x = min(nipple_x, field.width_mm - 14)
    if is_mlo:
        nipple_y, down = (
            height * float(rng.uniform(0.54, 0.64)),
            plan.half_height_mm * float(rng.uniform(0.7, 0.85)),
        )
        down = min(down, height - nipple_y - 14)
        edge = _mlo_edge(rng, coarse, plan, (nipple_x, nipple_y, down))
    else:
        nipple_y, down = height * float(rng.uniform(0.45, 0.55)), plan.half_height_mm
        edge = _cc_edge(rng, coarse, plan, (nipple_x, nipple_y))
    wobble = power_law_field(rng, Grid(coarse.rows, 1, COARSE_MM), 4.0, longest_mm=60.0, shortest_mm=12.0)
    inside = coarse.x_mm < edge + 0.8 * np.clip(edge / 40, 0, 1) * wobble
    inside |= _nipple(coarse, plan, (nipple_x, nipple_y), 12.0 if is_mlo else float(rng.normal(0, 6)))
    pectoral = (float(rng.uniform(38, 68)), height * float(rng.uniform(0.42, 0.66))) if is_mlo else None
    return BreastView(
        plan, view_position, field, (nipple_x, nipple_y), down, _signed_distance(inside), pectoral
    )


def tissue(rng: np.random.Generator, view: BreastView, grid: Grid) -> FloatImage:
    """Attenuation of fat, gland, strands, skin, nipple and muscle at full compression, shape (H, W)."""
    distance = resample(view.distance_mm, grid, COARSE_MM)
    gland = _gland(rng, view, grid, distance)
    fine = power_law_field(rng, grid, 3.0, longest_mm=25.0)
    strand_field = streaks(rng, grid, (view.nipple[0] + 8, view.nipple[1]), stretch=4.0, beta=3.2)
    strand = ridges(strand_field, 0.10) * (0.05 + 0.09 * np.sqrt(gland))
    net = ridges(power_law_field(rng, grid, 3.6, longest_mm=22.0, shortest_mm=0.8), 0.09)
    deep = smoothstep(distance, 1.0, 9.0)
    value = 0.36 + 0.34 * gland + (0.018 + 0.03 * gland) * fine
    value += view.plan.strands * deep * (strand + net * (0.035 + 0.05 * gland))
    value += 0.10 * np.exp(-((distance - 0.9) ** 2) / 0.9)
    if view.pectoral is not None:
        value = _with_pectoral(value, strand_field, view, grid)
    return value.astype(np.float32)


def compression(view: BreastView, grid: Grid, rim_mm: float) -> FloatImage:
    """Share of the full compressed thickness, 0 outside to 1 deeper than `rim_mm`, shape (H, W)."""
    distance = resample(view.distance_mm, grid, COARSE_MM)
    depth = np.clip(distance / np.float32(rim_mm), 0, 1)
    thickness: FloatImage = np.sqrt(depth * (2 - depth))
    return thickness


def coverage(view: BreastView, grid: Grid) -> FloatImage:
    """Share of each pixel that lies in the breast, shape (H, W)."""
    distance = resample(view.distance_mm, grid, COARSE_MM)
    share: FloatImage = np.clip(distance / np.float32(grid.spacing_mm) + np.float32(0.5), 0, 1)
    return share


def _cc_edge(
    rng: np.random.Generator, grid: Grid, plan: BreastPlan, nipple: tuple[float, float]
) -> FloatImage:
    asymmetry = float(rng.uniform(-0.06, 0.06))
    half = np.where(grid.y_mm < nipple[1], 1 - asymmetry, 1 + asymmetry) * plan.half_height_mm
    t = np.clip(np.abs(grid.y_mm - nipple[1]) / half, 0, 1)
    edge: FloatImage = np.float32(nipple[0]) * (1 - t**2) ** np.float32(1.25 / plan.pointedness)
    return edge


def _mlo_edge(
    rng: np.random.Generator, grid: Grid, plan: BreastPlan, tip: tuple[float, float, float]
) -> FloatImage:
    nipple_x, nipple_y, down = tip
    shoulder = nipple_x * float(rng.uniform(0.42, 0.72))
    rise = np.clip(grid.y_mm / nipple_y, 0, 1) ** np.float32(rng.uniform(1.3, 1.9))
    upper = shoulder + (nipple_x - shoulder) * np.sin(rise * np.float32(math.pi / 2))
    fall = np.clip((grid.y_mm - nipple_y) / down, 0, 1)
    lower = nipple_x * (1 - fall**2) ** np.float32(1.15 / plan.pointedness)
    fold = nipple_y + down
    belly = np.where(grid.y_mm > fold - 8, float(rng.uniform(2, 7)) + 0.22 * (grid.y_mm - fold), 0.0)
    edge: FloatImage = np.where(grid.y_mm < nipple_y, upper, np.maximum(lower, belly))
    return edge


def _nipple(grid: Grid, plan: BreastPlan, tip: tuple[float, float], tilt_deg: float) -> Mask:
    x, y, angle = grid.x_mm - tip[0], grid.y_mm - tip[1], math.radians(tilt_deg)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    bump: Mask = ((along / (plan.nipple_mm * 1.1)) ** 2 + (across / plan.nipple_mm) ** 2) < 1
    return bump


def _signed_distance(inside: Mask) -> FloatImage:
    # The chest wall is where the field ends, not skin: repeated padding keeps it from counting as an edge.
    padded = np.pad(inside, 2, mode="edge")
    distance = ndimage.distance_transform_edt(padded) - ndimage.distance_transform_edt(~padded)
    smooth = ndimage.gaussian_filter(distance[2:-2, 2:-2].astype(np.float32), 1.0)
    distance_mm: FloatImage = smooth * np.float32(COARSE_MM)
    return distance_mm


def _gland(rng: np.random.Generator, view: BreastView, grid: Grid, distance: FloatImage) -> FloatImage:
    plan = view.plan
    offset = plan.gland_offset[view.view_position is ViewPosition.MLO]
    centre = (view.nipple[0] * 0.58, view.nipple[1] + offset * plan.half_height_mm)
    spread = (0.50 + 0.07 * plan.density) * plan.depth_mm * 0.62
    envelope = np.exp(
        -(((grid.x_mm - centre[0]) / spread) ** 2) - ((grid.y_mm - centre[1]) / (spread * 1.05)) ** 2
    )
    mottled = power_law_field(rng, grid, 3.7, longest_mm=50.0, shortest_mm=0.7)
    drawn_out = streaks(rng, grid, (view.nipple[0] + 5, view.nipple[1]), stretch=3.0, beta=3.3)
    level = {1: -1.9, 2: -1.05, 3: -0.35, 4: 0.45}[plan.density] + float(rng.normal(0, 0.15))
    fat_rim = {1: 16.0, 2: 13.0, 3: 10.0, 4: 7.0}[plan.density]
    drive = 0.7 * mottled + 0.8 * drawn_out + 2.6 * (envelope - 0.45) + level
    gland: FloatImage = (1 / (1 + np.exp(-drive * np.float32(1.35)))).astype(np.float32)
    gland *= smoothstep(distance, 0.3 * fat_rim, 1.4 * fat_rim) * (0.25 + 0.75 * np.sqrt(envelope))
    return gland


def _with_pectoral(value: FloatImage, streak: FloatImage, view: BreastView, grid: Grid) -> FloatImage:
    gap = view.pectoral_edge(grid.y_mm) - grid.x_mm
    muscle = 1 / (1 + np.exp(-np.clip(gap / np.float32(0.9), -30, 30)))
    body = 0.54 + 0.0030 * np.clip(gap, 0, 70) + 0.022 * streak
    inside: FloatImage = value + muscle * (0.7 * (body - value) + 0.06)
    return inside
