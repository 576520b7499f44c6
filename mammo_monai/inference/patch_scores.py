"""Mass probability of every patch of a grid, each patch shown to the network on its own (P3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.inference.patch_grid import PatchGrid

if TYPE_CHECKING:
    from typing import Any

Scores = NDArray[np.float32]


class PatchNetwork(Protocol):
    """What a probability map asks of a patch network; `networks.patch_network` gives one.

    Attributes:
        stride_px: distance of neighbouring cells of the features, in pixels of the image.
        cells: side of the features of one patch, in cells.
        settings: with `patch_px`, the side of a patch.
    """

    stride_px: int
    cells: int
    settings: Any

    def features(self, images: Tensor, *, window_px: int | None = None) -> Tensor:
        """Features (B, C, h, w) of images (B, 1, H, W) in [0, 1].

        Args:
            window_px: input contrast is measured in a moving window of this side; None over each image.
        """

    def head_map(self, features: Tensor) -> Tensor:
        """Logits (B, K, h - cells + 1, w - cells + 1) of every window of cells × cells of (B, C, h, w).

        Class 0 is background.
        """

    def __call__(self, patches: Tensor) -> Tensor:
        """Logits (N, K) of patches (N, 1, patch_px, patch_px) in [0, 1]."""


def sliding_scores(
    network: PatchNetwork,
    image: Tensor,
    grid: PatchGrid,
    wanted: NDArray[np.bool_],
    *,
    batch_size: int,
    positive_classes: Sequence[int] | None = None,
) -> Scores:
    """Mass probability of the wanted patches, each a picture of its own; the others are 0.

    Args:
        image: (1, H, W) in [0, 1].
        wanted: shape (R, C), see `patch_grid.in_breast`.
        positive_classes: whose probabilities are added; None for all but class 0.

    Returns:
        Shape (R, C), float32.
    """
    scores = np.zeros(wanted.shape, dtype=np.float32)
    if wanted.any():
        logits = sliding_logits(network, image, grid, wanted, batch_size=batch_size)
        scores[wanted] = mass_probability(logits, positive_classes).cpu().numpy()
    return scores


def sliding_logits(
    network: PatchNetwork, image: Tensor, grid: PatchGrid, wanted: NDArray[np.bool_], *, batch_size: int
) -> Tensor:
    """Logits (n, K) of the wanted patches, row by row, in batches over the whole image.

    Patches are views of the image until a batch of them is copied: no loop over patches, no copy of all.

    Args:
        wanted: shape (R, C), at least one.
    """
    windows = grid.padded(image)[0].unfold(0, grid.patch_px, 1).unfold(1, grid.patch_px, 1)
    tops = torch.from_numpy(grid.rows - grid.rows[0]).to(image.device)
    lefts = torch.from_numpy(grid.cols - grid.cols[0]).to(image.device)
    places = torch.from_numpy(np.argwhere(wanted)).to(image.device)
    return torch.cat(
        [
            network(windows[tops[rows], lefts[cols]][:, None])
            for rows, cols in (batch.T for batch in torch.split(places, batch_size))
        ]
    )


def mass_probability(logits: Tensor, positive_classes: Sequence[int] | None = None) -> Tensor:
    """Sum of the positive classes' probabilities, shape (N,), float32; None counts all but class 0.

    >>> mass_probability(torch.tensor([[0.0, 0.0], [0.0, 0.0]])).tolist()
    [0.5, 0.5]

    Args:
        logits: shape (N, K).

    Raises:
        ValueError: a class that the network does not have, or class 0.
    """
    count = logits.shape[1]
    chosen = list(range(1, count)) if positive_classes is None else sorted(set(positive_classes))
    if not chosen or chosen[0] < 1 or chosen[-1] >= count:
        raise ValueError(
            f"positive_classes must be among 1 to {count - 1} (class 0 is background), "
            f"got {positive_classes!r} for a network of {count} classes."
        )
    # In float32 whatever the precision of the pass: bfloat16 has no probability between 0.996 and 1.
    return logits.float().softmax(dim=1)[:, chosen].sum(dim=1).clamp(max=1.0)
