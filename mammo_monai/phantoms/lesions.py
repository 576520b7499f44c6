"""Masses: what they are, their exact outlines, and how they attenuate.

A mass is planned once per breast and projected into each view: same place, size and kind, another angle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.phantoms.texture import FloatImage, Grid, Mask

ANGLES = 360
RADII = 256
CONTOUR_POINTS = 180
SHARPEST_MARGIN_MM = 0.35
REACH = 2.4
"""How far a mass's polar table goes, in outline radii: room for spicules."""

SHAPES = ("ROUND", "OVAL", "LOBULATED", "IRREGULAR", "SPICULATED")
_SHAPE_SHARE = (0.12, 0.27, 0.23, 0.16, 0.22)
_MARGINS = {
    "ROUND": ("CIRCUMSCRIBED", "CIRCUMSCRIBED", "OBSCURED"),
    "OVAL": ("CIRCUMSCRIBED", "CIRCUMSCRIBED", "OBSCURED", "ILL_DEFINED"),
    "LOBULATED": ("CIRCUMSCRIBED", "MICROLOBULATED", "OBSCURED"),
    "IRREGULAR": ("ILL_DEFINED", "ILL_DEFINED", "MICROLOBULATED"),
    "SPICULATED": ("SPICULATED",),
}
# Share of each subtlety 1-5 in the published mass training table: 41, 100, 257, 375, 543 of 1316.
_SUBTLETY_SHARE = (0.03, 0.08, 0.20, 0.28, 0.41)
CONTRAST = {1: 1.0, 2: 1.6, 3: 2.5, 4: 3.4, 5: 4.4}
"""Peak attenuation over the local background's standard deviation, by subtlety (own choice, by eye)."""


@dataclass(frozen=True)
class MassPlan:
    """One mass, before it is projected.

    Attributes:
        diameter_mm: longest diameter of the outline, the same in both views.
        depth_mm: from the nipple towards the chest wall. lateral, superior: −1…1 of the half height.
        subtlety: 1 (subtle) to 5 (obvious). birads: assessment 2–5.
        softness_mm: width of the margin.
    """

    shape: str
    margin: str
    pathology: str
    birads: int
    subtlety: int
    diameter_mm: float
    depth_mm: float
    lateral: float
    superior: float
    softness_mm: float


@dataclass(frozen=True, eq=False)
class MassView:
    """A mass as one view shows it.

    Attributes:
        centre_mm: `(x, y)`. radius_mm: outline radius at angles 0, 1, … 359 deg, shape (360,).
    """

    plan: MassPlan
    centre_mm: tuple[float, float]
    radius_mm: FloatImage

    @property
    def contour_mm(self) -> NDArray[np.float64]:
        """Outline points `(x, y)`, shape (CONTOUR_POINTS, 2), mm."""
        angle = np.arange(CONTOUR_POINTS) * (2 * math.pi / CONTOUR_POINTS)
        radius = self.radius_mm[:: ANGLES // CONTOUR_POINTS].astype(np.float64)
        x, y = self.centre_mm[0] + radius * np.cos(angle), self.centre_mm[1] + radius * np.sin(angle)
        return np.stack([x, y], axis=1)


def draw_mass_plan(rng: np.random.Generator, *, breast_depth_mm: float) -> MassPlan:
    """A mass of random kind, size and place; the place is only a proposal until it fits both views."""
    shape = str(rng.choice(SHAPES, p=_SHAPE_SHARE))
    margin = str(rng.choice(_MARGINS[shape]))
    is_suspicious = margin in ("SPICULATED", "ILL_DEFINED", "MICROLOBULATED")
    is_malignant = bool(rng.random() < (0.85 if is_suspicious else 0.12))
    diameter = float(np.clip(rng.lognormal(math.log(14.0), 0.45), 4.0, 40.0))
    birads = int(
        rng.choice((4, 5, 5) if is_malignant and is_suspicious else (4, 4, 3) if is_malignant else (2, 3, 4))
    )
    soft = {
        "CIRCUMSCRIBED": 0.05,
        "MICROLOBULATED": 0.06,
        "SPICULATED": 0.08,
        "OBSCURED": 0.10,
        "ILL_DEFINED": 0.14,
    }
    return MassPlan(
        shape=shape,
        margin=margin,
        pathology="MALIGNANT" if is_malignant else "BENIGN_WITHOUT_CALLBACK" if birads == 2 else "BENIGN",
        birads=birads,
        subtlety=int(rng.choice(5, p=_SUBTLETY_SHARE)) + 1,
        diameter_mm=diameter,
        depth_mm=float(rng.uniform(0.12, 0.92)) * breast_depth_mm,
        lateral=float(np.clip(rng.normal(-0.15, 0.4), -0.85, 0.85)),
        superior=float(np.clip(rng.normal(-0.1, 0.4), -0.85, 0.85)),
        softness_mm=max(SHARPEST_MARGIN_MM, soft[margin] * diameter),
    )


def resized(plan: MassPlan, factor: float) -> MassPlan:
    """The same mass, smaller or larger, never below 4 mm."""
    diameter = max(4.0, plan.diameter_mm * factor)
    softness = max(SHARPEST_MARGIN_MM, plan.softness_mm * diameter / plan.diameter_mm)
    return replace(plan, diameter_mm=diameter, softness_mm=softness)


def project_mass(rng: np.random.Generator, plan: MassPlan, centre_mm: tuple[float, float]) -> MassView:
    """Outline of a mass in one view."""
    relative = _outline(rng, plan)
    opposite = np.roll(relative, ANGLES // 2)
    radius = relative * np.float32(plan.diameter_mm / float((relative + opposite).max()))
    return MassView(plan, centre_mm, radius)


def mass_mask(mass: MassView, grid: Grid) -> tuple[Mask, tuple[slice, slice]]:
    """Pixels whose centre lies inside the outline, in a window of the image: `(mask, window)`.

    Never empty: a mass smaller than a pixel marks the pixel at its centre.
    """
    window = _window(mass, grid, 1.02)
    relative, _ = _polar(mass, grid, window)
    mask = relative <= 1
    row, column = (
        int(c / grid.spacing_mm) - w.start for c, w in zip(mass.centre_mm[::-1], window, strict=True)
    )
    mask[np.clip(row, 0, mask.shape[0] - 1), np.clip(column, 0, mask.shape[1] - 1)] = True
    return mask, window


def add_mass(
    image: FloatImage, rng: np.random.Generator, mass: MassView, grid: Grid, *, contrast: float
) -> None:
    """Adds a mass's attenuation to an image in place; `contrast` is the peak."""
    table = _table(rng, mass.plan, mass.radius_mm)
    window = _window(mass, grid, REACH)
    relative, angle = _polar(mass, grid, window)
    position = np.minimum(relative * np.float32((RADII - 1) / REACH), RADII - 1)
    profile = ndimage.map_coordinates(table, [angle, position], order=1, mode="grid-wrap", output=np.float32)
    image[window] += np.float32(contrast) * profile


def _outline(rng: np.random.Generator, plan: MassPlan) -> FloatImage:
    angle = np.arange(ANGLES) * (2 * math.pi / ANGLES)
    aspect = {"ROUND": (0.93, 1.0), "OVAL": (0.6, 0.8), "LOBULATED": (0.7, 0.95)}.get(
        plan.shape, (0.65, 0.95)
    )
    turn, short = float(rng.uniform(0, math.pi)), float(rng.uniform(*aspect))
    radius = short / np.sqrt((short * np.cos(angle - turn)) ** 2 + np.sin(angle - turn) ** 2)
    if plan.shape == "LOBULATED":
        lobes = int(rng.integers(3, 6))
        radius *= 1 + 0.13 * np.abs(np.cos(lobes / 2 * angle + rng.uniform(0, 2 * math.pi))) ** 0.7
    roughness = {"ROUND": 0.012, "OVAL": 0.015, "LOBULATED": 0.03}.get(plan.shape, 0.085)
    radius *= 1 + _harmonics(rng, angle, roughness, 2, 9)
    if plan.margin == "MICROLOBULATED":
        radius *= 1 + 0.045 * np.abs(np.cos(float(rng.integers(7, 12)) / 2 * angle + rng.uniform(0, 6)))
    smooth: FloatImage = ndimage.gaussian_filter1d(radius.astype(np.float32), 1.0, mode="wrap")
    return smooth


def _harmonics(
    rng: np.random.Generator, angle: NDArray[np.floating], amount: float, lowest: int, highest: int
) -> NDArray[np.float64]:
    order = np.arange(lowest, highest + 1)
    size = amount * rng.normal(0, 1, len(order)) * (lowest / order) ** 0.7
    wave: NDArray[np.float64] = (
        np.cos(np.outer(angle, order) + rng.uniform(0, 2 * math.pi, len(order))) @ size
    )
    return np.clip(wave, -0.32, 0.4)


def _table(rng: np.random.Generator, plan: MassPlan, radius: FloatImage) -> FloatImage:
    relative = np.linspace(0, REACH, RADII, dtype=np.float32)[None, :]
    depth_mm = (1 - relative) * radius[:, None]
    body = 1 / (1 + np.exp(-np.clip((depth_mm / plan.softness_mm - 0.4) * 2.2, -30, 30)))
    body *= 0.72 + 0.28 * np.sqrt(np.clip(1 - relative**2, 0, 1))
    mottle = ndimage.gaussian_filter(
        rng.standard_normal((ANGLES, RADII), dtype=np.float32), (9, 9), mode="wrap"
    )
    # Near the centre all angles are one point: the mottle fades there, else it would show as a star.
    body *= 1 + 0.09 * mottle / max(float(mottle.std()), 1e-6) * np.clip(relative * 2, 0, 1)
    if plan.margin == "OBSCURED":
        angle = np.arange(ANGLES, dtype=np.float32)[:, None] * np.float32(2 * math.pi / ANGLES)
        veil = np.clip(0.5 + 0.9 * np.cos(angle - rng.uniform(0, 2 * math.pi)), 0, 1)
        body *= 1 - 0.65 * veil * np.clip(relative * 1.3 - 0.3, 0, 1)
    if plan.margin == "CIRCUMSCRIBED":
        body -= 0.07 * np.exp(-(((depth_mm + 0.9) / 0.7) ** 2))
    if plan.shape == "SPICULATED":
        body = np.maximum(body, _spicules(rng, relative, radius))
    table: FloatImage = body.astype(np.float32)
    return table


def _spicules(rng: np.random.Generator, relative: FloatImage, radius: FloatImage) -> FloatImage:
    angle = np.arange(ANGLES, dtype=np.float32)[:, None] * np.float32(2 * math.pi / ANGLES)
    mean_mm = float(radius.mean())
    lines = np.zeros((ANGLES, RADII), dtype=np.float32)
    for _ in range(int(rng.integers(12, 26))):
        length, bend = float(rng.uniform(1.3, REACH - 0.1)), float(rng.normal(0, 0.12))
        middle = np.float32(rng.uniform(0, 2 * math.pi)) + np.float32(bend) * (relative - 1)
        gap = np.abs((angle - middle + math.pi) % (2 * math.pi) - math.pi) * relative * np.float32(mean_mm)
        taper = np.clip((length - relative) / (length - 0.6), 0, 1) * (relative > 0.4)
        width = 0.16 + 0.035 * mean_mm * taper
        line = float(rng.uniform(0.35, 0.7)) * np.sqrt(taper) * np.exp(-((gap / width) ** 2))
        np.maximum(lines, line, out=lines)
    return lines


def _window(mass: MassView, grid: Grid, reach: float) -> tuple[slice, slice]:
    extent = float(mass.radius_mm.max()) * reach + grid.spacing_mm
    (x, y), s = mass.centre_mm, grid.spacing_mm
    rows = slice(max(0, int((y - extent) / s)), min(grid.rows, math.ceil((y + extent) / s)))
    return rows, slice(max(0, int((x - extent) / s)), min(grid.columns, math.ceil((x + extent) / s)))


def _polar(mass: MassView, grid: Grid, window: tuple[slice, slice]) -> tuple[FloatImage, FloatImage]:
    dx = grid.x_mm[:, window[1]] - np.float32(mass.centre_mm[0])
    dy = grid.y_mm[window[0]] - np.float32(mass.centre_mm[1])
    angle = (np.arctan2(dy, dx) * np.float32(ANGLES / (2 * math.pi))) % np.float32(ANGLES)
    low = np.minimum(angle.astype(np.intp), ANGLES - 1)
    after = np.roll(mass.radius_mm, -1)
    radius = mass.radius_mm[low] + (after[low] - mass.radius_mm[low]) * (angle - low)
    return (np.hypot(dx, dy) / radius).astype(np.float32), angle.astype(np.float32)
