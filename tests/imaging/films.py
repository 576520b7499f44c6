"""Synthetic mammograms: what surrounds the breast (label, borders, dust, fog, dim rim), and the muscle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True)
class Film:
    """Grey values 0–255 as float64, and the breast that was drawn, both of shape (H, W)."""

    pixels: NDArray[np.float64]
    breast: NDArray[np.bool_]
    artifacts: NDArray[np.bool_]

    def overlap(self, region: NDArray[np.bool_]) -> float:
        """Intersection over union with the drawn breast."""
        return float((self.breast & region).sum() / (self.breast | region).sum())

    def mirrored(self) -> Film:
        """The same film as a right breast."""
        return Film(self.pixels[:, ::-1], self.breast[:, ::-1], self.artifacts[:, ::-1])


def scanned_film(height: int = 480, width: int = 300, *, fog: float = 14.0, seed: int = 0) -> Film:
    """A left breast on fogged film, with a nipple, texture, a label, dust, and white rows and columns."""
    rng = np.random.default_rng(seed)
    breast = _breast(height, width)
    depth = ndimage.distance_transform_edt(np.pad(breast, ((0, 0), (9, 0)), mode="edge"))[:, 9:]
    texture = ndimage.gaussian_filter(rng.standard_normal((height, width)), height / 60)
    tissue = 90 + 60 * texture / texture.std()
    # Tissue thins towards the skin: a rim of 2 % of the height rises from dim to full.
    pixels = np.where(
        breast, fog + 25 + np.clip(tissue, 40, 200) * np.minimum(depth / (0.02 * height), 1), fog
    )
    artifacts = np.zeros_like(breast)
    artifacts[: height // 80] = artifacts[-height // 60 :] = True
    artifacts[:, -width // 60 :] = True
    label = (slice(height // 12, height // 8), slice(int(0.75 * width), int(0.9 * width)))
    artifacts[label] = True
    dust = rng.integers(0, (height, width), (25, 2))
    artifacts[dust[:, 0], dust[:, 1]] = True
    artifacts &= ~breast
    pixels = np.where(artifacts, 255, pixels) + rng.normal(0, 1.5, (height, width))
    return Film(np.clip(pixels, 0, 255), breast, artifacts)


def digital_image(height: int = 400, width: int = 260) -> Film:
    """A left breast on a background of exactly 0, with one marker, in 12 bits."""
    rng = np.random.default_rng(1)
    breast = _breast(height, width)
    tissue = 1500 + 300 * ndimage.gaussian_filter(rng.standard_normal((height, width)), 6)
    artifacts = np.zeros_like(breast)
    artifacts[20:40, -50:-20] = True
    return Film(np.where(artifacts, 4095.0, np.where(breast, tissue, 0.0)), breast, artifacts & ~breast)


def oblique_film(
    height: int = 480, width: int = 300, *, muscle_contrast: float = 60.0, seed: int = 0
) -> tuple[Film, NDArray[np.bool_]]:
    """A left breast that reaches the film's top, and its pectoral muscle with a bent edge, shape (H, W)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] + 0.5
    y, x = rows / height, columns / width
    axilla = (x < 0.5 - 0.2 * y) & (y < 0.5)
    breast = axilla | ((x / 0.75) ** 2 + ((y - 0.55) / 0.37) ** 2 < 1)
    muscle = breast & (x < 0.36 * (1 - y / 0.6) + 0.03 * np.sin(np.pi * y / 0.6)) & (y < 0.6)
    texture = ndimage.gaussian_filter(rng.standard_normal((height, width)), height / 60)
    tissue = 90 + 15 * texture / texture.std() + muscle_contrast * muscle
    pixels = np.where(breast, tissue, 14) + rng.normal(0, 1.5, (height, width))
    pixels = ndimage.gaussian_filter(pixels, height / 240)  # the muscle's edge is never sharp
    artifacts = np.zeros_like(breast)
    artifacts[height // 12 : height // 8, int(0.8 * width) : int(0.95 * width)] = True
    return Film(np.clip(np.where(artifacts, 255, pixels), 0, 255), breast, artifacts), muscle


def _breast(height: int, width: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:height, :width] + 0.5
    y, x = (rows / height - 0.5) / 0.38, columns / width / 0.55
    nipple = ((rows / height - 0.5) / 0.02) ** 2 + ((columns / width - 0.55) / 0.04) ** 2 < 1
    return np.asarray((x**2 + y**2 < 1) | nipple)
