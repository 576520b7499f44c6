"""One view of one patient before it meets film or detector: attenuation, and the truth about its lesions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import mask_box
from mammo_monai.phantoms.anatomy import (
    BreastPlan,
    BreastView,
    compression,
    coverage,
    draw_breast_plan,
    project_breast,
    tissue,
)
from mammo_monai.phantoms.distractors import (
    Calcifications,
    add_calcifications,
    add_islands,
    add_lymph_nodes,
    add_vessels,
    draw_calcifications,
)
from mammo_monai.phantoms.lesions import (
    CONTRAST,
    MassPlan,
    MassView,
    add_mass,
    draw_mass_plan,
    mass_mask,
    project_mass,
    resized,
)
from mammo_monai.phantoms.streams import stream
from mammo_monai.phantoms.texture import FloatImage, Grid, Mask, grid_over, power_law_field, resample, tiled
from mammo_monai.records import Box, Laterality, ViewPosition

FINEST_TISSUE_MM = 0.28
"""Tissue is drawn no finer than this and interpolated; outlines, masses, calcifications and grain are not."""
VIEWS = (ViewPosition.CC, ViewPosition.MLO)
ATTEMPTS = 1000
SKIN_MARGIN_MM = 3.0
FIELD_MARGIN_MM = 5.0
_REFERENCE_DEVIATION = 0.10


@dataclass(frozen=True)
class BreastCase:
    """One breast and its lesions; `key` names its random streams."""

    laterality: Laterality
    plan: BreastPlan
    masses: tuple[MassPlan, ...]
    calcifications: str
    key: tuple[int, str, int, str]


@dataclass(frozen=True, eq=False)
class MassTruth:
    """A mass as it lies in the image's pixels.

    Attributes:
        mask: window of the image that holds the mass; `origin` is its first `(row, column)`.
        contour: outline `(x, y)`, shape (180, 2), px. mask_box: half-open.
        depth_mm: from the nipple towards the chest wall.
    """

    plan: MassPlan
    mask: Mask
    origin: tuple[int, int]
    mask_box: Box
    contour: NDArray[np.float64]
    depth_mm: float


@dataclass(frozen=True, eq=False)
class Scene:
    """One view, right breasts already mirrored.

    Attributes:
        attenuation: shape (H, W), 0 is air. coverage: share of each pixel in the breast, shape (H, W).
        calcifications: centres and radii in mm of the mirrored image.
    """

    case: BreastCase
    view_position: ViewPosition
    grid: Grid
    attenuation: FloatImage
    coverage: FloatImage
    masses: tuple[MassTruth, ...]
    calcifications: tuple[Calcifications, ...]


def draw_breast_cases(
    key: tuple[int, str, int], field: Grid, masses_per_breast: Sequence[tuple[Laterality, int]]
) -> tuple[BreastCase, ...]:
    """Both breasts of one patient: alike in density and build, unlike in detail.

    Args:
        masses_per_breast: how many masses each breast to be shown has.
    """
    rng = stream(*key, "patient")
    density = int(rng.choice(4, p=(0.22, 0.42, 0.26, 0.10))) + 1
    pair = draw_breast_plan(rng, largest_depth_mm=field.width_mm - 22, density=density)
    cases = []
    for laterality, count in masses_per_breast:
        own = stream(*key, laterality.value)
        scale = float(own.uniform(0.95, 1.04))
        depth = min(pair.depth_mm * scale, field.width_mm - 22)
        plan = replace(pair, depth_mm=depth, half_height_mm=pair.half_height_mm * scale)
        masses = tuple(draw_mass_plan(own, breast_depth_mm=plan.depth_mm) for _ in range(count))
        calcifications = str(own.choice(("none", "single", "cluster"), p=(0.72, 0.16, 0.12)))
        cases.append(BreastCase(laterality, plan, masses, calcifications, (*key, laterality.value)))
    return tuple(cases)


def render_breast(case: BreastCase, field: Grid, *, rim_mm: float) -> tuple[Scene, ...]:
    """The CC and MLO scenes of one breast; masses that do not fit both views are moved, then made smaller.

    Args:
        rim_mm: depth from the skin at which the breast is fully compressed: large on film, where the rim
            fades, small on processed digital images.

    Raises:
        GeometryError: a mass fits nowhere, even at 4 mm.
    """
    views = [
        project_breast(stream(*case.key, view.value, "outline"), case.plan, view, field) for view in VIEWS
    ]
    placed = _place(case, views)
    return tuple(_render(case, view, masses, rim_mm) for view, masses in zip(views, placed, strict=True))


def _place(case: BreastCase, views: Sequence[BreastView]) -> list[list[MassView]]:
    placed: list[list[MassView]] = [[] for _ in views]
    for number in range(len(case.masses)):
        for others, mass in zip(placed, _fitting_mass(case, number, views, placed), strict=True):
            others.append(mass)
    return placed


def _fitting_mass(
    case: BreastCase, number: int, views: Sequence[BreastView], placed: Sequence[Sequence[MassView]]
) -> list[MassView]:
    rng, plan = stream(*case.key, "mass", number), case.masses[number]
    for attempt in range(ATTEMPTS):
        streams = [stream(*case.key, "mass", number, view.view_position.value) for view in views]
        masses = [
            project_mass(own, plan, _site(plan, view)) for own, view in zip(streams, views, strict=True)
        ]
        if all(_fits(mass, view, others) for mass, view, others in zip(masses, views, placed, strict=True)):
            return masses
        other = draw_mass_plan(rng, breast_depth_mm=case.plan.depth_mm)
        plan = replace(plan, depth_mm=other.depth_mm, lateral=other.lateral, superior=other.superior)
        plan = resized(plan, 0.9) if attempt % 25 == 24 else plan
    raise GeometryError(f"mass {number} of {case.key} fits nowhere in {ATTEMPTS} attempts. Use another seed.")


def _site(plan: MassPlan, view: BreastView) -> tuple[float, float]:
    x = view.nipple[0] - plan.depth_mm
    half = view.plan.half_height_mm
    if view.view_position is ViewPosition.CC:
        return x, view.nipple[1] + plan.lateral * half
    # The oblique view looks along 45°: up in it is partly superior, partly lateral.
    return x, view.nipple[1] + (plan.superior + plan.lateral) * math.sqrt(0.5) * view.down_mm


def _fits(mass: MassView, view: BreastView, others: Sequence[MassView]) -> bool:
    x, y = mass.contour_mm.T.astype(np.float32)
    field = view.grid
    in_field = min(x.min(), y.min(), field.width_mm - x.max(), field.height_mm - y.max()) > FIELD_MARGIN_MM
    if not in_field or view.distance_at(x, y).min() < SKIN_MARGIN_MM:
        return False
    if view.pectoral_edge(np.array([mass.centre_mm[1]], dtype=np.float32))[0] > mass.centre_mm[0]:
        return False
    return all(
        math.dist(mass.centre_mm, other.centre_mm) > mass.radius_mm.max() + other.radius_mm.max() + 2.0
        for other in others
    )


def _render(case: BreastCase, view: BreastView, masses: Sequence[MassView], rim_mm: float) -> Scene:
    grid, name = view.grid, view.view_position.value
    work = grid_over(grid.height_mm, grid.width_mm, max(grid.spacing_mm, FINEST_TISSUE_MM))
    value = tissue(stream(*case.key, name, "tissue"), view, work)
    rng = stream(*case.key, name, "look-alikes")
    add_vessels(value, rng, view, work)
    add_islands(value, rng, view, work)
    add_lymph_nodes(value, rng, view, work)
    thickness = compression(view, work, rim_mm)
    contrasts = [_contrast(mass, value, work) * _at(thickness, mass, work) for mass in masses]
    value *= thickness
    image = value if work == grid else resample(value, grid, work.spacing_mm)
    for number, (mass, contrast) in enumerate(zip(masses, contrasts, strict=True)):
        add_mass(image, stream(*case.key, name, "mass", number), mass, grid, contrast=contrast)
    groups = _calcifications(case, view)
    for group in groups:
        add_calcifications(image, group, grid, contrast=0.35)
    _soften_highlights(image)
    share = coverage(view, grid)
    _add_detail(image, stream(*case.key, name, "detail"), grid)
    image *= share
    truths = tuple(_truth(mass, view, case.laterality) for mass in masses)
    if case.laterality is Laterality.RIGHT:
        image, share = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(share[:, ::-1])
        groups = tuple(_mirrored(group, grid) for group in groups)
    return Scene(case, view.view_position, grid, image, share, truths, groups)


def _contrast(mass: MassView, value: FloatImage, grid: Grid) -> float:
    row, column = (int(c / grid.spacing_mm) for c in mass.centre_mm[::-1])
    reach = max(2, math.ceil(float(mass.radius_mm.max()) * 1.6 / grid.spacing_mm))
    around = value[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
    return CONTRAST[mass.plan.subtlety] * (0.5 * float(around.std()) + 0.5 * _REFERENCE_DEVIATION)


def _at(image: FloatImage, mass: MassView, grid: Grid) -> float:
    row, column = (int(c / grid.spacing_mm) for c in mass.centre_mm[::-1])
    return float(image[min(row, grid.rows - 1), min(column, grid.columns - 1)])


def _soften_highlights(image: FloatImage) -> None:
    # Dense tissue over dense tissue does not add up without end: the tone curves of film and processing bend.
    bright = image > 0.85
    image[bright] = 1.15 - 0.3 * np.exp((np.float32(0.85) - image[bright]) / np.float32(0.3))


def _add_detail(image: FloatImage, rng: np.random.Generator, grid: Grid) -> None:
    if grid.spacing_mm >= FINEST_TISSUE_MM:
        return
    tile = power_law_field(rng, Grid(384, 384, grid.spacing_mm), 2.6, longest_mm=2 * FINEST_TISSUE_MM)
    image += np.float32(0.012) * tiled(tile, grid)


def _calcifications(case: BreastCase, view: BreastView) -> tuple[Calcifications, ...]:
    if case.calcifications == "none":
        return ()
    rng = stream(*case.key, view.view_position.value, "calcifications")
    return (draw_calcifications(rng, view, single=case.calcifications == "single"),)


def _mirrored(group: Calcifications, grid: Grid) -> Calcifications:
    return replace(group, points_mm=np.array([grid.width_mm, 0.0]) + group.points_mm * np.array([-1.0, 1.0]))


def _truth(mass: MassView, view: BreastView, laterality: Laterality) -> MassTruth:
    grid = view.grid
    mask, (rows, columns) = mass_mask(mass, grid)
    contour = mass.contour_mm / grid.spacing_mm
    first = columns.start
    if laterality is Laterality.RIGHT:
        mask, first = mask[:, ::-1], grid.columns - columns.stop
        contour = np.array([grid.columns, 0.0]) + contour * np.array([-1.0, 1.0])
    x_min, y_min, x_max, y_max = mask_box(mask)
    box = (x_min + first, y_min + rows.start, x_max + first, y_max + rows.start)
    return MassTruth(mass.plan, mask, (rows.start, first), box, contour, view.nipple[0] - mass.centre_mm[0])
