"""What every function of this folder demands of its input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError


def check_image(image: NDArray[np.generic]) -> None:
    """Raises GeometryError unless the image has shape (H, W), H and W at least 1, and finite numbers."""
    if image.ndim != 2 or not image.size:
        raise GeometryError(
            f"expected a grey image of shape (H, W) with at least one pixel, got {image.shape}. "
            "Take one channel or one frame: image[0] or image[..., 0]."
        )
    if not (np.issubdtype(image.dtype, np.number) or image.dtype == np.bool_) or np.iscomplexobj(image):
        raise GeometryError(f"expected an image of real numbers, got dtype {image.dtype}. Convert it first.")
    if np.issubdtype(image.dtype, np.floating) and not np.isfinite(image).all():
        raise GeometryError("expected finite grey values, got NaN or infinity. Set them to the background.")


def check_region(image: NDArray[np.generic], region: NDArray[np.bool_]) -> None:
    """Raises GeometryError unless the region is boolean, as large as the image, and marks a pixel."""
    if region.shape != image.shape or region.dtype != np.bool_:
        raise GeometryError(
            f"expected a boolean region of the image's shape {image.shape}, "
            f"got {region.dtype} of shape {region.shape}. Use the mask of breast_region for this image."
        )
    if not region.any():
        raise GeometryError(
            "expected a region with at least one pixel, got an empty one: no breast was found. "
            "Use the whole image instead (region=None, or no crop)."
        )
