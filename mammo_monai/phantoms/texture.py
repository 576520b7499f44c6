"""Grids in millimetres and the random fields drawn on them: power-law noise, strands, streaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """Square pixels over a field: column c, row r has its centre at (c + 0.5, r + 0.5) spacings, in mm."""

    rows: int
    columns: int
    spacing_mm: float

    @property
    def x_mm(self) -> FloatImage:
        """Column centres, shape (1, W)."""
        return ((np.arange(self.columns, dtype=np.float32) + 0.5) * np.float32(self.spacing_mm))[None, :]

    @property
    def y_mm(self) -> FloatImage:
        """Row centres, shape (H, 1)."""
        return ((np.arange(self.rows, dtype=np.float32) + 0.5) * np.float32(self.spacing_mm))[:, None]

    @property
    def height_mm(self) -> float:
        """Physical height."""
        return self.rows * self.spacing_mm

    @property
    def width_mm(self) -> float:
        """Physical width."""
        return self.columns * self.spacing_mm


def grid_over(height_mm: float, width_mm: float, spacing_mm: float) -> Grid:
    """The grid that covers a field at a spacing, at least one pixel each way.

    >>> grid_over(12.0, 9.0, 0.5)
    Grid(rows=24, columns=18, spacing_mm=0.5)
    """
    return Grid(max(1, round(height_mm / spacing_mm)), max(1, round(width_mm / spacing_mm)), spacing_mm)


def power_law_field(
    rng: np.random.Generator, grid: Grid, beta: float, *, longest_mm: float = 80.0, shortest_mm: float = 0.0
) -> FloatImage:
    """Gaussian field with power spectrum 1/f^beta, mean 0, standard deviation 1, shape (H, W).

    Mammographic tissue has beta near 3 (Source: Burgess, Jacobson, Judy, Med Phys 2001).

    Args:
        longest_mm: wavelengths above it get no more power (the field then has no ramp across it).
        shortest_mm: wavelengths below it are damped, 0 for none.
    """
    rows, columns = fft.next_fast_len(grid.rows, real=True), fft.next_fast_len(grid.columns, real=True)
    frequency_y = fft.fftfreq(rows, grid.spacing_mm).astype(np.float32)[:, None]
    frequency_x = fft.rfftfreq(columns, grid.spacing_mm).astype(np.float32)[None, :]
    squared = frequency_y**2 + frequency_x**2 + np.float32(longest_mm**-2)
    amplitude = squared ** np.float32(-beta / 4)
    if shortest_mm > 0:
        amplitude *= np.exp(-squared * np.float32(shortest_mm**2 / 2))
    spectrum = np.empty(amplitude.shape, dtype=np.complex64)
    spectrum.real = rng.standard_normal(amplitude.shape, dtype=np.float32)
    spectrum.imag = rng.standard_normal(amplitude.shape, dtype=np.float32)
    spectrum *= amplitude
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum, s=(rows, columns))[: grid.rows, : grid.columns]
    normalised: FloatImage = (field - field.mean()) / np.float32(max(float(field.std()), 1e-6))
    return normalised


def ridges(field: FloatImage, width: float) -> FloatImage:
    """Thin bright lines in [0, 1] along the zero crossings of a smooth field: connective tissue."""
    line: FloatImage = np.exp(-((field / np.float32(width)) ** 2))
    return line


def streaks(
    rng: np.random.Generator, grid: Grid, towards_mm: tuple[float, float], *, stretch: float, beta: float
) -> FloatImage:
    """Power-law field drawn out along the lines that run towards one point (the nipple), shape (H, W).

    Args:
        towards_mm: the point `(x, y)`.
        stretch: length of a streak over its width, at 40 mm from the point.
    """
    tile = power_law_field(rng, Grid(512, 384, 0.35), beta, longest_mm=40.0)
    dx, dy = grid.x_mm - np.float32(towards_mm[0]), grid.y_mm - np.float32(towards_mm[1])
    radius = np.hypot(dx, dy)
    across = np.arctan2(dy, -dx) * np.float32(40 / 0.35)
    along = np.sqrt(radius + 25) * np.float32(16 / (0.35 * stretch))
    sampled: FloatImage = ndimage.map_coordinates(
        tile, [across + 256, along], order=1, mode="grid-wrap", output=np.float32
    )
    return sampled


def resample(image: FloatImage, grid: Grid, source_spacing_mm: float) -> FloatImage:
    """Linear interpolation of an image onto a grid over the same field; edges are repeated."""
    rows = _resample_rows(image, grid.rows, grid.spacing_mm / source_spacing_mm)
    return np.ascontiguousarray(_resample_rows(rows.T, grid.columns, grid.spacing_mm / source_spacing_mm).T)


def tiled(tile: FloatImage, grid: Grid) -> FloatImage:
    """A tile repeated over the grid: for noise too fine for the repetition to be seen."""
    repeats = (-(-grid.rows // tile.shape[0]), -(-grid.columns // tile.shape[1]))
    return np.tile(tile, repeats)[: grid.rows, : grid.columns]


def smoothstep(value: FloatImage, low: float, high: float) -> FloatImage:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    step: FloatImage = t * t * (3 - 2 * t)
    return step


def _resample_rows(image: FloatImage, count: int, step: float) -> FloatImage:
    position = np.clip((np.arange(count) + 0.5) * step - 0.5, 0, len(image) - 1)
    low = np.minimum(position.astype(np.intp), max(len(image) - 2, 0))
    weight = (position - low).astype(np.float32)[:, None]
    high = np.minimum(low + 1, len(image) - 1)
    lower = image[low]
    blended: FloatImage = lower + (image[high] - lower) * weight
    return blended
