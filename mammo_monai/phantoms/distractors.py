"""What looks like a mass and is none: lymph nodes, crossing vessels, islands of gland; and calcifications."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.phantoms.anatomy import BreastView
from mammo_monai.phantoms.texture import FloatImage, Grid, power_law_field
from mammo_monai.records import ViewPosition


@dataclass(frozen=True, eq=False)
class Calcifications:
    """A group of calcifications in one view.

    Attributes:
        points_mm: centres `(x, y)`, shape (K, 2). radii_mm: shape (K,).
    """

    points_mm: NDArray[np.float64]
    radii_mm: NDArray[np.float64]


def add_vessels(image: FloatImage, rng: np.random.Generator, view: BreastView, grid: Grid) -> None:
    """Two to six curved vessels from the chest wall towards the nipple; where they cross, both add up."""
    widths = {0.45: np.zeros_like(image), 0.8: np.zeros_like(image)}
    for index in range(int(rng.integers(2, 7))):
        width = (0.45, 0.8)[index % 2]
        x, y = _vessel(rng, view)
        strength = float(rng.uniform(0.03, 0.08))
        _splat(widths[width], x / grid.spacing_mm, y / grid.spacing_mm, strength)
    for width, drawn in widths.items():
        sigma = max(width / grid.spacing_mm, 0.5)
        # A polyline sampled every 0.2 mm, spread by a Gaussian, peaks at strength × samples per sigma.
        peak = grid.spacing_mm / 0.2 / (sigma * math.sqrt(2 * math.pi))
        image += ndimage.gaussian_filter(drawn, sigma, truncate=3.0) / np.float32(peak)


def add_islands(image: FloatImage, rng: np.random.Generator, view: BreastView, grid: Grid) -> None:
    """One to four patches of gland with soft, uneven edges, somewhere in the breast."""
    uneven = power_law_field(rng, Grid(96, 96, 0.5), 3.0, longest_mm=14.0)
    for _ in range(int(rng.integers(1, 5))):
        centre = _point_inside(rng, view, 12.0)
        length = float(rng.uniform(5, 13))
        dx, dy = _turned(grid, centre, float(rng.uniform(0, math.pi)), length * 2.2)
        window = _window(grid, centre, length * 2.2)
        radius = np.sqrt((dx / length) ** 2 + (dy / (length * float(rng.uniform(0.35, 0.7)))) ** 2)
        shift = rng.integers(0, 96, 2)
        mottle = np.roll(uneven, tuple(shift), (0, 1))
        rows = (np.arange(radius.shape[0]) * grid.spacing_mm / 0.5).astype(np.intp) % 96
        columns = (np.arange(radius.shape[1]) * grid.spacing_mm / 0.5).astype(np.intp) % 96
        edge = 1 / (1 + np.exp(np.clip((radius - 0.8 - 0.35 * mottle[rows][:, columns]) * 4.5, -30, 30)))
        image[window] += np.float32(rng.uniform(0.05, 0.12)) * edge.astype(np.float32)


def add_lymph_nodes(image: FloatImage, rng: np.random.Generator, view: BreastView, grid: Grid) -> None:
    """Bean-shaped nodes with a fatty hilum: often in the axilla of MLO views, seldom inside the breast."""
    is_mlo = view.view_position is ViewPosition.MLO
    count = int(rng.choice((0, 1, 2, 3), p=(0.45, 0.3, 0.15, 0.1))) if is_mlo else int(rng.random() < 0.08)
    for _ in range(count):
        centre = _axilla(rng, view) if is_mlo and rng.random() < 0.8 else _point_inside(rng, view, 10.0)
        length = float(rng.uniform(3.0, 8.0))
        short, turn = length * float(rng.uniform(0.5, 0.75)), float(rng.uniform(0.6, 2.2))
        window = _window(grid, centre, length * 1.6)
        dx, dy = _turned(grid, centre, turn, length * 1.6)
        rim = _soft_disc(dx / length, dy / short)
        hilum = _soft_disc((dx - 0.1 * length) / (0.55 * length), (dy - 0.35 * short) / (0.55 * short))
        image[window] += np.float32(rng.uniform(0.10, 0.18)) * (rim - np.float32(0.7) * hilum * rim)


def draw_calcifications(rng: np.random.Generator, view: BreastView, *, single: bool) -> Calcifications:
    """A group of 5–25 within a centimetre, or 1–11 strewn singly."""
    if single:
        points = np.array([_point_inside(rng, view, 8.0) for _ in range(int(rng.integers(1, 12)))])
        return Calcifications(points, rng.uniform(0.15, 0.4, len(points)))
    centre, count = _point_inside(rng, view, 12.0), int(rng.integers(5, 26))
    points = np.array(centre) + rng.normal(0, 2.2, (count, 2)) * (1.0, 0.7)
    return Calcifications(points, rng.uniform(0.12, 0.4, count))


def add_calcifications(image: FloatImage, group: Calcifications, grid: Grid, *, contrast: float) -> None:
    """Adds small dense dots to an image in place; one smaller than a pixel dims in proportion to its area."""
    for (x, y), radius in zip(group.points_mm, group.radii_mm, strict=True):
        shown = max(radius, 0.6 * grid.spacing_mm)
        window = _window(grid, (float(x), float(y)), shown * 3)
        dx, dy = grid.x_mm[:, window[1]] - np.float32(x), grid.y_mm[window[0]] - np.float32(y)
        dot = np.exp(-(((dx**2 + dy**2) / np.float32(shown**2)) ** 2))
        image[window] += np.float32(contrast * (radius / shown) ** 2) * dot


def _vessel(rng: np.random.Generator, view: BreastView) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    start = np.array([-2.0, view.nipple[1] + rng.uniform(-1, 0.9) * view.plan.half_height_mm * 0.85])
    end = np.array([view.nipple[0] * rng.uniform(0.6, 0.95), view.nipple[1] + rng.uniform(-30, 30)])
    t = np.linspace(0, 1, int(np.hypot(*(end - start)) / 0.2))[:, None]
    bend = start + (end - start) * rng.uniform(0.3, 0.7) + rng.normal(0, 14, 2)
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    for wave in (31.0, 13.0):
        path[:, 1] += wave / 20 * np.sin(t[:, 0] * len(t) * 0.2 / wave * 2 * math.pi + rng.uniform(0, 6))
    keep = view.distance_at(path[:, 0].astype(np.float32), path[:, 1].astype(np.float32)) > 1.5
    return path[keep, 0], path[keep, 1]


def _splat(image: FloatImage, column: NDArray[np.float64], row: NDArray[np.float64], value: float) -> None:
    c, r = column.astype(np.intp), row.astype(np.intp)
    keep = (r >= 0) & (r < image.shape[0]) & (c >= 0) & (c < image.shape[1])
    np.add.at(image, (r[keep], c[keep]), np.float32(value))


def _point_inside(rng: np.random.Generator, view: BreastView, margin_mm: float) -> tuple[float, float]:
    for _ in range(200):
        x = float(rng.uniform(4, view.nipple[0]))
        y = float(rng.uniform(6, view.grid.height_mm - 6))
        is_deep = view.distance_at(_one(x), _one(y))[0] > margin_mm
        if is_deep and x > float(view.pectoral_edge(_one(y))[0]) + 3:
            return x, y
    return view.nipple[0] * 0.6, view.nipple[1]


def _axilla(rng: np.random.Generator, view: BreastView) -> tuple[float, float]:
    y = float(rng.uniform(8, view.nipple[1] * 0.5))
    edge = float(view.pectoral_edge(_one(y))[0])
    return max(6.0, edge + float(rng.uniform(-14, 8))), y


def _one(value: float) -> FloatImage:
    return np.array([value], dtype=np.float32)


def _window(grid: Grid, centre: tuple[float, float], extent: float) -> tuple[slice, slice]:
    (x, y), s = centre, grid.spacing_mm
    rows = slice(max(0, int((y - extent) / s)), max(0, min(grid.rows, math.ceil((y + extent) / s))))
    return rows, slice(max(0, int((x - extent) / s)), max(0, min(grid.columns, math.ceil((x + extent) / s))))


def _turned(
    grid: Grid, centre: tuple[float, float], turn: float, extent: float
) -> tuple[FloatImage, FloatImage]:
    window = _window(grid, centre, extent)
    dx, dy = grid.x_mm[:, window[1]] - np.float32(centre[0]), grid.y_mm[window[0]] - np.float32(centre[1])
    cosine, sine = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    return dx * cosine + dy * sine, dy * cosine - dx * sine


def _soft_disc(u: FloatImage, v: FloatImage) -> FloatImage:
    disc: FloatImage = 1 / (1 + np.exp(np.clip((np.sqrt(u * u + v * v) - 1) * 9, -30, 30)))
    return disc
