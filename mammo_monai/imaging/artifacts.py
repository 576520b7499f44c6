"""Removing what is not breast: labels, scanner borders, dust."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mammo_monai.imaging.checks import check_image, check_region

_Number = TypeVar("_Number", bound=np.generic)


def remove_artifacts(
    image: NDArray[_Number], region: NDArray[np.bool_], background: float | None = None
) -> NDArray[_Number]:
    """Copy of an image with everything outside the region set to the background value.

    Args:
        image: shape (H, W); its dtype is kept.
        region: boolean mask of `breast_region`, shape (H, W).
        background: in the image's unit; None takes the image's lowest value, so nothing outside is brighter.

    Raises:
        GeometryError: wrong shapes, or an empty region: it would wipe the whole image.

    >>> remove_artifacts(np.array([[9, 5], [1, 7]]), np.array([[False, True], [False, True]])).tolist()
    [[1, 5], [1, 7]]
    """
    check_image(image)
    check_region(image, region)
    value = image.min() if background is None else image.dtype.type(background)
    return np.where(region, image, value)
