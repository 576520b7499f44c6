"""Images of different sizes as one batch, and targets checked against it."""

from __future__ import annotations

import torch
from torch import Tensor

from mammo_monai.networks.several_processes import largest_over_processes
from mammo_monai.words import counted


def padded_batch(
    images: list[Tensor], divisible: int, *, is_shared: bool = False
) -> tuple[Tensor, list[tuple[int, int]]]:
    """The images in the upper left corners of one batch of zeros, and their (height, width).

    Args:
        divisible: height and width of the batch are multiples of this.
        is_shared: other processes hold the rest of the batch and call this too: pad to the largest of all.

    Raises:
        ValueError: no image, or one that is not (channels, H, W).

    >>> batch, sizes = padded_batch([torch.ones(1, 3, 40), torch.ones(1, 20, 5)], 32)
    >>> list(batch.shape), sizes
    ([2, 1, 32, 64], [(3, 40), (20, 5)])
    """
    if not images or any(image.dim() != 3 for image in images):
        shapes = [list(image.shape) for image in images]
        raise ValueError(
            f"a detector takes a list of (channels, H, W) images, at least one, got shapes {shapes}."
        )
    sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
    first = images[0]
    largest = (max(height for height, _ in sizes), max(width for _, width in sizes))
    if is_shared:
        largest = largest_over_processes(largest, first.device)
    height, width = (-(-side // divisible) * divisible for side in largest)
    batch = torch.zeros((len(images), len(first), height, width), dtype=first.dtype, device=first.device)
    for place, image, (image_height, image_width) in zip(batch, images, sizes, strict=True):
        place[:, :image_height, :image_width] = image
    return batch, sizes


def checked_targets(
    images: list[Tensor], targets: list[dict[str, Tensor]] | None, num_classes: int
) -> list[dict[str, Tensor]]:
    """Copies of the targets (`box`, `label`) on the images' device; boxes float32, float64 if the images are.

    Raises:
        ValueError: no targets, another number of them than images, or a box or label that cannot be trained
            on; the message names the target.
    """
    if targets is None or len(targets) != len(images):
        given = "none" if targets is None else counted(len(targets), "target")
        came = f"{given} for {counted(len(images), 'image')}"
        raise ValueError(f"training needs one dict with box and label per image, got {came}.")
    dtype = torch.float64 if images[0].dtype == torch.float64 else torch.float32
    device = images[0].device
    checked = []
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        box, label = target["box"].reshape(-1, 4), target["label"].reshape(-1)
        _check_target(index, box, label, num_classes)
        _check_place(index, box, (int(image.shape[-2]), int(image.shape[-1])))
        checked.append(
            {"box": box.to(device=device, dtype=dtype), "label": label.to(device=device, dtype=torch.int64)}
        )
    return checked


def _check_target(index: int, box: Tensor, label: Tensor, num_classes: int) -> None:
    if len(box) != len(label):
        raise ValueError(f"target {index}: {counted(len(box), 'box')} but {counted(len(label), 'label')}.")
    if bool(((label < 0) | (label >= num_classes)).any()):
        raise ValueError(
            f"target {index}: labels must lie in 0 … {num_classes - 1} (num_classes {num_classes}), "
            f"got {sorted(set(label.tolist()))}. Drop these lesions, or build the network with more classes."
        )
    bad = (box[:, 2:] <= box[:, :2]).any(dim=1) | ~torch.isfinite(box).all(dim=1)
    if bool(bad.any()):
        raise ValueError(
            f"target {index}: a box needs finite corners and positive height and width, "
            f"got (row, col, row, col) {box[bad][0].tolist()}. "
            "Remove boxes that a crop has cut to nothing before training."
        )


def _check_place(index: int, box: Tensor, size: tuple[int, int]) -> None:
    """Refuses a box off its image: where no anchor overlaps one, all fit it alike, and all become lesion."""
    limits = torch.tensor(size, dtype=box.dtype, device=box.device)
    off = ((box[:, 2:] <= 0) | (box[:, :2] >= limits)).any(dim=1)
    if bool(off.any()):
        raise ValueError(
            f"target {index}: a box must touch its image of {size[0]} rows and {size[1]} columns, "
            f"got (row, col, row, col) {box[off][0].tolist()}. Boxes are in pixels of the image they come "
            "with: resize, crop and mirror them with it."
        )
