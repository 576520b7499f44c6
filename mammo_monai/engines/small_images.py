"""Images too small for a network to learn from: said in pixels, where torch speaks of values per channel."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mammo_monai.errors import TrainingError

_TORCH_WORDS = "Expected more than 1 value per channel"
# One more than a stride gives a map of two cells. Source: strides of the pyramids here are 8 to 128.
_TRIED_PX = (9, 17, 33, 65, 129, 257)


@contextmanager
def told_if_too_small(network: nn.Module, images: Sequence[Tensor]) -> Iterator[None]:
    """Around a step of training: a normalisation that has nothing to normalise over becomes one clear error.

    Args:
        images: of the batch, each (1, H, W).

    Raises:
        TrainingError: names the images' size, and the smallest `size_px` that trains.
    """
    try:
        yield
    except ValueError as error:
        if _TORCH_WORDS not in str(error):
            raise
        rows, columns = (max(each.shape[axis] for each in images) for axis in (-2, -1))
        smallest = smallest_size_px(network, len(images))
        remedy = "Take larger images" if smallest is None else f"Take size_px {smallest} or more"
        raise TrainingError(
            f"expected images that the network can learn from, got {len(images)} of at most {columns} × "
            f"{rows} px: a normalisation layer sees one value of each channel and has nothing to compare. "
            f"{remedy} (--size_px; prepared copies must be made anew in that size)."
        ) from error


def smallest_size_px(network: nn.Module, n_images: int = 1) -> int | None:
    """The smallest square, of sides just above a power of two, that such a batch trains on; None: unknown.

    Tried on a copy without numbers, so it costs neither memory nor time.
    """
    try:
        trial = copy.deepcopy(network).to("meta").train()
        for size_px in _TRIED_PX:
            if _trains(trial, torch.empty(n_images, 1, size_px, size_px, device="meta")):
                return size_px
    except Exception:  # a network of another kind, or one that cannot be copied: then no size is named
        return None
    return None


def _trains(network: nn.Module, images: Tensor) -> bool:
    try:
        network(images)
    except ValueError as error:
        if _TORCH_WORDS in str(error):
            return False
        raise
    return True
