"""Removing what is not breast: labels, scanner borders and dust around it; markers and white edges on it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mammo_monai.imaging.checks import check_image, check_region
from mammo_monai.imaging.working_copy import WorkingCopy, working_copy

_Number = TypeVar("_Number", bound=np.generic)
Mask = NDArray[np.bool_]
_Grey = NDArray[np.float32]

# Radiopaque structures are found on a copy of about this many pixels along its longer side, lengths are
# shares of that side: 0.004 of a film of 240 mm is 1 mm.
_WORKING_PX = 800
_LEAST_SIDE = 0.004  # smaller ones may be calcifications
_THICKEST = 0.05
_TISSUE_PERCENTILES = (1.0, 99.0)
_PENUMBRA = 0.5  # of the contrast asked for: a marker's rim belongs to it
_SMOOTHING_PX = 2.0  # of the copy, so that what is filled in shows no seams


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


def suppress_radiopaque(image: NDArray[_Number], region: Mask, *, contrast: float = 1.0) -> NDArray[_Number]:
    """Copy of an image whose radiopaque structures in the region take the grey values around them.

    What `radiopaque_mask` marks is filled from the nearest pixels that stay, smoothed; no pixel gets
    brighter, and all others stay bit for bit.

    Args:
        image: shape (H, W), any real dtype, which is kept; dense tissue is bright (MONOCHROME2).
        region, contrast: see `radiopaque_mask`.

    Raises:
        GeometryError, ValueError: see `radiopaque_mask`.

    Source: P4 names the step (its Fig. 4) and no method; this one is ours.
    """
    check_image(image)
    check_region(image, region)
    copy, marked = _marked(image, region, contrast)
    if not marked.any():
        return image.copy()
    inside = working_copy(region, _WORKING_PX).pixels > 0.5
    around = _filled(copy.pixels, marked, inside & ~marked)
    suppressed = image.copy()
    for rows, columns in ndimage.find_objects(ndimage.label(marked, np.ones((3, 3)))[0]):
        place, new = _enlarged(copy, around, (rows, columns), image.shape)
        where = _enlarged_mask(copy, marked, place) & region[place]
        old = image[place]
        darker = np.minimum(old, new.astype(image.dtype))
        suppressed[place] = np.where(where, darker, suppressed[place])
    return suppressed


def radiopaque_mask(image: NDArray[np.generic], region: Mask, *, contrast: float = 1.0) -> Mask:
    """Marks what no tissue is: lead markers, clips, labels over the breast, white strips at the film's edge.

    Marked is what rises above its surroundings (white top-hat) by `contrast` times the tissue's range, is
    brighter than 99 % of the tissue, wider than 1 and thinner than 12 mm on a film of 24 cm, with its rim.
    Small calcifications stay for their size, masses for their contrast; a coarse calcification, or a small
    mass, as bright as a marker cannot be told from one. Thicker white areas stay too.

    Args:
        image: shape (H, W), any real dtype; dense tissue is bright (MONOCHROME2).
        region: boolean mask of `breast_region`, shape (H, W).
        contrast: in units of the tissue's range, above 0; from the 1st to the 99th percentile of the region,
            the latter without what rises far. The higher, the less is marked.

    Returns:
        Boolean mask, shape (H, W), inside the region.

    Raises:
        GeometryError: not a grey image, or an empty region. ValueError: no such contrast.

    Source: white top-hat, Meyer, 1979; the numbers are ours, measured in docs/explanation/preprocessing.md.
    """
    check_image(image)
    check_region(image, region)
    copy, marked = _marked(image, region, contrast)
    everywhere = (slice(0, image.shape[0]), slice(0, image.shape[1]))
    return _enlarged_mask(copy, marked, everywhere) & region


def _marked(image: NDArray[np.generic], region: Mask, contrast: float) -> tuple[WorkingCopy, Mask]:
    """The working copy and what is radiopaque on it."""
    if not contrast > 0:
        raise ValueError(f"contrast must be above 0, got {contrast}.")
    copy = working_copy(image, _WORKING_PX)
    inside = working_copy(region, _WORKING_PX).pixels > 0.5
    if not inside.any():
        return copy, inside
    low = float(np.percentile(copy.pixels[inside], _TISSUE_PERCENTILES[0]))
    rise = _top_hat(copy.pixels, inside, low)
    high = _brightest_tissue(copy.pixels[inside], rise[inside], low)
    if not high > low:
        return copy, np.zeros_like(inside)
    rise /= np.float32(high - low)
    bright = inside & (copy.pixels > high)
    rim = inside & (rise > _PENUMBRA * contrast)
    parts, count = ndimage.label(rim, np.ones((3, 3)))
    if not count:
        return copy, rim
    least_px = (_LEAST_SIDE * max(copy.pixels.shape)) ** 2
    cores = np.bincount(parts.ravel(), (bright & (rise > contrast)).ravel())
    is_radiopaque = cores >= least_px
    is_radiopaque[0] = False
    return copy, ndimage.binary_dilation(is_radiopaque[parts], np.ones((3, 3))) & inside


def _brightest_tissue(pixels: _Grey, rise: _Grey, low: float) -> float:
    """The upper end of the tissue's range, from pixels of the region and their rise above the opening.

    A wide white strip would lift a percentile of all pixels to its own brightness. The opening has lost every
    strip, but fine bright tissue too; so it only says which pixels are left out.
    """
    rough_range = float(np.percentile(pixels - rise, _TISSUE_PERCENTILES[1])) - low
    return float(np.percentile(pixels[rise <= max(rough_range, 0.0)], _TISSUE_PERCENTILES[1]))


def _top_hat(pixels: _Grey, inside: Mask, low: float) -> _Grey:
    """How far each pixel rises above the opening; beyond the picture and the region all is dark."""
    side = max(3, round(_THICKEST * max(pixels.shape)))
    dark = np.pad(np.where(inside, pixels, low), side, constant_values=low)
    rise = dark - ndimage.grey_opening(dark, (side, side))
    return np.asarray(rise[side:-side, side:-side], dtype=np.float32)


def _filled(pixels: _Grey, marked: Mask, known: Mask) -> _Grey:
    """The copy with marked pixels taken from the nearest known ones and smoothed; 0 where none is known."""
    if not known.any():
        return np.where(marked, 0, pixels)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled = pixels[tuple(nearest)]
    smooth = ndimage.gaussian_filter(filled, _SMOOTHING_PX, mode="nearest")
    return np.asarray(np.where(marked, smooth, filled), dtype=np.float32)


def _enlarged(
    copy: WorkingCopy, pixels: _Grey, part: tuple[slice, slice], shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], _Grey]:
    """Where a part of the copy lies in the image, and its pixels there, bilinear."""
    step = copy.step_px
    place = tuple(
        slice(each.start * step, min(each.stop * step, side)) for each, side in zip(part, shape, strict=True)
    )
    size = (part[1].stop - part[1].start) * step, (part[0].stop - part[0].start) * step
    grey = Image.fromarray(np.ascontiguousarray(pixels[part]))
    large = np.asarray(grey.resize(size, Image.Resampling.BILINEAR))
    height, width = (each.stop - each.start for each in place)
    return (place[0], place[1]), large[:height, :width]


def _enlarged_mask(copy: WorkingCopy, marked: Mask, place: tuple[slice, slice]) -> Mask:
    """A mask of the copy on a part of the image that begins at a whole pixel of the copy."""
    rows, columns = (np.arange(each.start, each.stop) // copy.step_px for each in place)
    return np.asarray(marked[np.ix_(rows, columns)])
