"""Training samples mixed from several films: a mass pasted, four on one canvas, two overlaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from mammo_monai.data.pasting import copy_paste
from mammo_monai.geometry import Crop, clip_boxes, scale_boxes
from mammo_monai.records import Boxes
from mammo_monai.transforms.sample import (
    Sample,
    boxes_of,
    clipped,
    crop_image,
    image_of,
    resize_image,
    size_of,
    with_boxes,
)

Mix = Literal["none", "copy_paste", "mosaic", "mixup"]
MIXES: tuple[Mix, ...] = get_args(Mix)
PARTNERS: dict[Mix, int] = {"none": 0, "copy_paste": 3, "mosaic": 3, "mixup": 1}
"""Other samples that each kind draws; copy_paste takes the first of them that has a mass to give."""

MIXUP_BETA = 8.0
MOSAIC_SIDE_MIN_PX = 8.0  # half of the smallest usual anchor, 16 px: nothing is matched to less


def mixed(
    mix: Mix, host: Mapping[str, Any], partners: Sequence[Mapping[str, Any]], generator: np.random.Generator
) -> Sample:
    """The host mixed with its partners; as it was where nothing fits (copy_paste).

    Args:
        host, partners: prepared samples, before augmentation; see `copy_paste`, `mosaic`, `mixup`.
        partners: as many as `PARTNERS` says.
        generator: decides all that is random.
    """
    if mix == "mosaic":
        return mosaic([host, *partners], generator)
    if mix == "mixup":
        return mixup(host, partners[0], generator)
    pasted = (copy_paste(host, donor, generator) for donor in partners)
    return next((each for each in pasted if each is not None), dict(host))


def mosaic(samples: Sequence[Mapping[str, Any]], generator: np.random.Generator) -> Sample:
    """Four breasts in the quarters of one canvas of the first sample's size, in random order, with all boxes.

    Each image shrinks to fit its quarter at constant ratio (half its size where all are as large) and lies at
    the quarter's upper left; the rest is 0. Boxes with a side under 8 px are dropped. All else is the first
    sample's.

    Source: Bochkovskiy et al., 2020 (YOLOv4), which cuts the four at a random point; here whole breasts stay
    whole, so all masses are half as large.
    """
    width, height = size_of(image_of(samples[0]))
    columns, rows = (0, width // 2, width), (0, height // 2, height)
    canvas = torch.zeros((1, height, width))
    placed: list[Sample] = []
    for quarter, place in enumerate(generator.permutation(len(samples))):
        column, row = quarter % 2, quarter // 2
        corner, room = (columns[column], rows[row]), (columns[column + 1], rows[row + 1])
        sample = samples[int(place)]
        image = image_of(sample)
        size = size_of(image)
        factor = min((room[axis] - corner[axis]) / size[axis] for axis in (0, 1))
        small = tuple(max(1, round(side * factor)) for side in size)
        shrunk = resize_image(image, (small[0], small[1]))
        canvas[:, corner[1] : corner[1] + small[1], corner[0] : corner[0] + small[0]] = shrunk
        boxes = scale_boxes(boxes_of(sample), small[0] / size[0], small[1] / size[1])
        boxes = clip_boxes(boxes, *small)
        is_kept = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= MOSAIC_SIDE_MIN_PX
        placed.append(with_boxes(sample, boxes + np.tile(corner, 2), is_kept))
    return _united(samples[0], canvas, placed)


def mixup(host: Mapping[str, Any], other: Mapping[str, Any], generator: np.random.Generator) -> Sample:
    """Weighted mean of two images, upper left corners together, on the host's size, with the boxes of both.

    The host's weight is max(w, 1 − w) with w from Beta(8, 8): at least one half, 0.6 on the mean, rarely
    above 0.8. So the other's masses stay visible: all boxes are full targets, as the detector knows no
    weights of boxes. All else is the host's.

    Source: Zhang et al., 2018 (mixup, of classes); boxes united and images not resized: Zhang et al., 2019
    (bag of freebies), who take Beta(1.5, 1.5) and weigh the loss instead. Beta(8, 8): no source known.
    """
    drawn = float(generator.beta(MIXUP_BETA, MIXUP_BETA))
    weight = max(drawn, 1 - drawn)
    image = image_of(host)
    overlaid = crop_image(image_of(other), Crop(0, 0, *size_of(image)))
    cut = clipped({**other, "image": overlaid, "frame": None})
    return _united(host, weight * image + (1 - weight) * overlaid, [host, cut])


def _united(host: Mapping[str, Any], image: Tensor, samples: Sequence[Mapping[str, Any]]) -> Sample:
    boxes: Boxes = np.concatenate([boxes_of(sample) for sample in samples])
    labels = torch.cat([torch.as_tensor(sample["label"], dtype=torch.int64) for sample in samples])
    return with_boxes({**host, "image": image, "label": labels, "frame": None}, boxes)
