"""A mass of one film pasted into the breast of another so that no edge shows, with its box and label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.geometry import Crop, enlarge_boxes, flip_boxes, rowcol_to_xyxy, scale_boxes, xyxy_to_rowcol
from mammo_monai.records import Boxes
from mammo_monai.transforms.sample import (
    MAX_16_BIT,
    SIDE_MIN_PX,
    Sample,
    boxes_of,
    crop_image,
    image_of,
    resize_image,
    size_of,
)

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]

SCALES = (0.8, 1.25)
ENLARGED = 0.6  # of the box: what is cut out with the mass, to fade out in
FULL_TO = 0.7  # of the way to the patch's inscribed ellipse: the mass alone, then it fades
LEAST_RISE = 1.0  # of the standard deviation of the surroundings: a mass nobody can see teaches nothing
MAX_GAIN = 1.4  # of the contrast, either way; beyond, it is another kind of tissue
DARKEST = 1 / MAX_16_BIT  # in the breast; 0 is outside


@dataclass(frozen=True, eq=False)
class Patch:
    """A mass with its surroundings: grey values (H, W), its box (1, 4) in the patch's pixels, its label."""

    pixels: Grey
    box: Boxes
    label: int


def copy_paste(
    host: Mapping[str, Any], donor: Mapping[str, Any], generator: np.random.Generator
) -> Sample | None:
    """The host with one more mass, the donor's; None where there is no whole mass, no room, or no contrast.

    A mass can be cut out if a box 1.6 times its own lies in the donor's image, touches no other lesion, and
    the ellipse in it is all breast (pixels above 0). It is scaled by 0.8 to 1.25 and mirrored at random, and
    placed where that larger box is all breast and touches no lesion of the host, each such place as likely.
    What it is brighter than a plane through its surroundings is added to the host, as one tissue's shadow to
    another's: the host's own texture goes on through it. It takes the contrast of the place (by at most 1.4,
    up or down) and fades out in an ellipse. Where it would be hardly seen nothing is pasted. It lands on any
    tissue, over the pectoral muscle too.

    Args:
        host, donor: prepared samples: `image` float32 (1, H, W) in [0, 1], 0 outside the breast; `box` in
            MONAI axis order, `label`.

    Source: Ghiasi et al., 2021 (copy-paste, by masks and replacing pixels); sum, plane, ellipse and numbers:
    no source known, chosen by looking at pasted films, where replaced pixels left a disc without texture.
    """
    patch = cut_mass(donor, generator)
    if patch is None:
        return None
    image = image_of(host)
    height, width = patch.pixels.shape
    places = free_places(image[0].numpy(), boxes_of(host), (width, height))
    if not len(places):
        return None
    x_min, y_min = (int(each) for each in places[int(generator.integers(len(places)))])
    window = blended(image[0, y_min : y_min + height, x_min : x_min + width].numpy(), patch.pixels)
    if window is None:
        return None
    pasted = image.clone()
    pasted[0, y_min : y_min + height, x_min : x_min + width] = torch.from_numpy(window)
    box = xyxy_to_rowcol(patch.box + np.tile([x_min, y_min], 2))
    return {
        **host,
        "image": pasted,
        "box": torch.cat([_plain(host["box"]), torch.from_numpy(box.astype(np.float32))]),
        "label": torch.cat([_plain(host["label"]), torch.tensor([patch.label], dtype=torch.int64)]),
        "frame": None,
    }


def cut_mass(donor: Mapping[str, Any], generator: np.random.Generator) -> Patch | None:
    """A mass of the donor, drawn among those that can be cut out whole, scaled and mirrored at random."""
    image, boxes = image_of(donor), boxes_of(donor)
    outer = enlarge_boxes(boxes, ENLARGED)
    outer = np.concatenate([np.floor(outer[:, :2]), np.ceil(outer[:, 2:])], axis=1)
    whole = [row for row in range(len(boxes)) if _is_whole(image, boxes, outer[row], row)]
    if not whole:
        return None
    row = whole[int(generator.integers(len(whole)))]
    x_min, y_min, x_max, y_max = (int(edge) for edge in outer[row])
    pixels = crop_image(image, Crop(x_min, y_min, x_max - x_min, y_max - y_min))
    box = boxes[row : row + 1] - np.tile([x_min, y_min], 2)
    factor = float(np.exp(generator.uniform(*np.log(SCALES))))
    width, height = size_of(pixels)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    pixels = resize_image(pixels, size)
    box = scale_boxes(box, size[0] / width, size[1] / height)
    horizontal, vertical = generator.random(2) < 0.5
    if horizontal:
        pixels, box = pixels.flip(-1), flip_boxes(box, size[0])
    if vertical:
        pixels, box = pixels.flip(-2), rowcol_to_xyxy(flip_boxes(xyxy_to_rowcol(box), size[1]))
    if (box[0, 2:] - box[0, :2]).min() < SIDE_MIN_PX:
        return None
    return Patch(pixels[0].numpy(), box, int(donor["label"][row]))


def free_places(image: Grey, boxes: Boxes, size: tuple[int, int]) -> NDArray[np.int64]:
    """First pixels `(x, y)`, shape (N, 2), of all windows that are above 0 throughout and touch no box.

    Args:
        image: shape (H, W). boxes: `(x_min, y_min, x_max, y_max)`. size: `(width, height)` of the window.

    >>> free_places(np.ones((2, 4), dtype=np.float32), np.array([[0.0, 0, 1, 1]]), (2, 2)).tolist()
    [[1, 0], [2, 0]]
    """
    is_free = image > 0
    for x_min, y_min, x_max, y_max in boxes:
        is_free[
            max(0, int(np.floor(y_min))) : max(0, int(np.ceil(y_max))),
            max(0, int(np.floor(x_min))) : max(0, int(np.ceil(x_max))),
        ] = False
    width, height = size
    if height > is_free.shape[0] or width > is_free.shape[1]:
        return np.zeros((0, 2), dtype=np.int64)
    sums = np.pad(is_free.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32), ((1, 0), (1, 0)))
    filled = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    rows, columns = np.nonzero(filled == width * height)
    return np.stack([columns, rows], axis=1)


def blended(host: Grey, patch: Grey) -> Grey | None:
    """The host's window with the patch's mass added, both shape (H, W); None where it would hardly be seen.

    The window's rim stays as it is.
    """
    radius = _radius(*patch.shape)
    is_around = (radius > FULL_TO) & (patch > 0)
    around = _plane(patch, is_around)
    spread = float((patch - around)[is_around].std())
    wanted = float((host - _plane(host, is_around))[is_around].std())
    gain = np.clip(wanted / spread, 1 / MAX_GAIN, MAX_GAIN) if spread > 0 else 1.0
    added = _fading(radius) * np.float32(gain) * (patch - around)
    pasted = np.asarray(np.clip(host + added, DARKEST, 1), dtype=np.float32)
    rise = float((pasted - host)[radius <= FULL_TO].mean())
    return pasted if rise > 0 and rise >= LEAST_RISE * wanted else None


def _is_whole(image: Tensor, boxes: Boxes, outer: NDArray[np.float64], row: int) -> bool:
    width, height = size_of(image)
    x_min, y_min, x_max, y_max = (int(edge) for edge in outer)
    if x_min < 0 or y_min < 0 or x_max > width or y_max > height:
        return False
    others = np.delete(boxes, row, axis=0)
    if (np.minimum(others[:, 2:], outer[2:]) > np.maximum(others[:, :2], outer[:2])).all(axis=1).any():
        return False
    window = image[0, y_min:y_max, x_min:x_max].numpy()
    return bool((window[_radius(*window.shape) < 1] > 0).all())


def _radius(height: int, width: int) -> Grey:
    """Distance from the middle, 1 on the inscribed ellipse, shape (height, width)."""
    rows, columns = (np.linspace(-1, 1, 2 * side + 1, dtype=np.float32)[1::2] for side in (height, width))
    return np.hypot(rows[:, None], columns[None])


def _fading(radius: Grey) -> Grey:
    """1 in the middle, 0 from the ellipse on, a half cosine between."""
    way = np.clip((radius - FULL_TO) / (1 - FULL_TO), 0, 1)
    return np.asarray((1 + np.cos(np.pi * way)) / 2, dtype=np.float32)


def _plane(pixels: Grey, is_used: Mask) -> Grey:
    """The plane nearest to the pixels used, at every pixel, shape (H, W)."""
    rows, columns = np.indices(pixels.shape, dtype=np.float64)
    terms = np.stack([np.ones(pixels.shape), rows / pixels.shape[0], columns / pixels.shape[1]], axis=-1)
    weights, *_ = np.linalg.lstsq(terms[is_used], pixels[is_used].astype(np.float64), rcond=None)
    return np.asarray(terms @ weights, dtype=np.float32)


def _plain(values: object) -> Tensor:
    return torch.as_tensor(values).as_subclass(Tensor)
