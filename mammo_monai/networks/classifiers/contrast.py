"""What a classifier sees of a grey image: global contrast normalisation, three channels, scaling."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from mammo_monai.networks.pyramid import (
    IMAGENET_MEAN,
    IMAGENET_SD,
    NORMALISATIONS,
    InputNormalisation,
    check_channels,
)

Contrast = Literal["none", "patch"]
CONTRASTS: tuple[Contrast, ...] = ("none", "patch")
# Added to the variance, so that noise of an empty patch is not blown up; of images in [0, 1].
# Source: Goodfellow et al., 2016, Deep Learning, § 12.2.1.1: lambda 10 of Coates et al., on 8-bit images.
LAMBDA = 10.0 / 255.0**2


def normalised_contrast(images: Tensor, *, window_px: int | None = None) -> Tensor:
    """Images of mean 0 and standard deviation about 1: P3's global contrast normalisation.

    Args:
        images: (B, C, H, W); each channel is normalised alone.
        window_px: None takes mean and standard deviation of the whole image (a patch, in P3). Else each pixel
            takes those of a square of that side around it, as far as it lies in the image: rows
            [r - window_px // 2, r - window_px // 2 + window_px). The middle pixel of a patch (row and column
            window_px // 2) then gets in the image what it gets in its patch; the others, nearly.

    Returns:
        (x - mean) / sqrt(variance + `LAMBDA`), float32. A flat image becomes 0.

    Source: P3, § 2.3, after Chougrad et al., 2018; with the variance's regulariser of Goodfellow et al.
    """
    # In float64: the variance of a bright, flat square is the small difference of two large sums.
    x = images.double()
    if window_px is None:
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = x.var(dim=(2, 3), correction=0, keepdim=True)
    else:
        mean = _moving_mean(x, window_px)
        variance = (_moving_mean(x * x, window_px) - mean * mean).clamp_min(0.0)
    return ((x - mean) / (variance + LAMBDA).sqrt()).float()


def network_input(
    images: Tensor,
    *,
    in_channels: int,
    contrast: Contrast,
    normalisation: InputNormalisation,
    window_px: int | None = None,
) -> Tensor:
    """Three channels (B, 3, H, W) as a backbone takes them, of images (B, in_channels, H, W) in [0, 1].

    With contrast `patch` an image first gets mean 0 and standard deviation 1, then mean and standard
    deviation of ImageNet's photographs, channel by channel: any `normalisation` then gives the backbone the
    range that its published weights have seen. With `imagenet` that is mean 0 and deviation 1 again.

    Raises:
        ValueError: the images have another number of channels.
    """
    check_channels(images, in_channels)
    means, sds = NORMALISATIONS[normalisation]
    if contrast == "patch":
        images = normalised_contrast(images, window_px=window_px)
    channels = []
    for index in range(3):
        channel = images[:, index % in_channels, None]
        if contrast == "patch":
            channel = channel * IMAGENET_SD[index] + IMAGENET_MEAN[index]
        channels.append((channel - means[index]) / sds[index])
    return torch.cat(channels, dim=1)


def _moving_mean(x: Tensor, window: int) -> Tensor:
    """Mean over a square around each pixel, cut at the border; by running sums, whatever the window."""
    for axis in (2, 3):
        size = x.shape[axis]
        sums = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), x.cumsum(axis)], dim=axis)
        first = torch.arange(size, device=x.device) - window // 2
        start, stop = first.clamp(min=0), (first + window).clamp(max=size)
        count = (stop - start).reshape([-1 if each == axis else 1 for each in range(x.dim())])
        x = (sums.index_select(axis, stop) - sums.index_select(axis, start)) / count
    return x


def check_window(window_px: int | None) -> None:
    """Raises ValueError for a window without pixels."""
    if window_px is not None and not 1 <= window_px < math.inf:
        raise ValueError(f"window_px must be at least 1, got {window_px}.")
