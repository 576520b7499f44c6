"""Occlusion: how far a score falls when a square of the image is flattened to its own mean.

Needs no gradient. `monai.visualize.OcclusionSensitivity` does the same with its mode "mean_patch", but it
flattens every square of the black background too, half of a mammogram, and indexes tensors by lists, which
torch gives up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def occlusion_drops(
    target: nn.Module, batch: Tensor, *, mask_px: int, overlap: float, batch_size: int
) -> Tensor:
    """The mean fall of the score over the squares that cover a pixel, (H, W); flat squares count as 0.

    Args:
        target: images (B, 1, H, W) to scores (B, 1). batch: one image, (1, 1, H, W).
        mask_px: side of a square, cut to the image. overlap: of neighbouring squares, in [0, 1).
        batch_size: images in one pass.

    Source: Zeiler and Fergus, 2014; the mean in place of grey keeps the brightness and takes the structure.
    """
    height, width = batch.shape[-2:]
    step = max(1, round(mask_px * (1 - overlap)))
    places = [
        (slice(row, row + mask_px), slice(col, col + mask_px))
        for row in _starts(height, mask_px, step)
        for col in _starts(width, mask_px, step)
    ]
    total, count = torch.zeros_like(batch[0, 0]), torch.zeros_like(batch[0, 0])
    with torch.no_grad():
        whole = target(batch)[0, 0]
        varied = [at for at in places if bool((batch[0, 0][at] != batch[0, 0][at].mean()).any())]
        for start in range(0, len(varied), batch_size):
            chunk = varied[start : start + batch_size]
            flattened = batch.repeat(len(chunk), 1, 1, 1)
            for image, at in zip(flattened, chunk, strict=True):
                image[0][at] = image[0][at].mean()
            for score, at in zip(target(flattened)[:, 0], chunk, strict=True):
                total[at] += whole - score
    for at in places:
        count[at] += 1
    return total / count


def _starts(size: int, mask_px: int, step: int) -> list[int]:
    """First pixels of the squares along an axis; the last one ends at the border.

    >>> _starts(20, 8, 5), _starts(6, 8, 4)
    ([0, 5, 10, 12], [0])
    """
    last = max(0, size - mask_px)
    return [*range(0, last, step), last]
