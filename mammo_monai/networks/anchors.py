"""Anchor boxes over the feature maps, equal to torchvision's or Detectron2's to the last bit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.apps.detection.utils.anchor_utils import AnchorGenerator
from torch import Tensor


class GridAnchors(AnchorGenerator):  # type: ignore[misc]  # monai ships no types
    """Anchors centred at `i * stride`, in axis order (row, col), ratio by ratio and within it scale by scale.

    MONAI's own generator centres at `i * stride + stride // 2` and follows the head's dtype, which moves
    anchors by up to 22 px in bfloat16; here they are float32, or float64 when the maps are.

    Args:
        sizes_px: side of the smallest square anchor on each level, model pixels.
        octave_scales: anchors per octave; n gives factors 2^(0/n) … 2^((n-1)/n).
        ratios: height / width.
        is_rounded: whole-pixel sizes and corners (torchvision); False keeps fractions (Detectron2).

    >>> anchors = GridAnchors([32], octave_scales=1, ratios=[0.5])
    >>> anchors.cell_anchors[0].tolist()  # a wide anchor: height 22, width 46
    [[-11.0, -23.0, 11.0, 23.0]]
    """

    def __init__(
        self,
        sizes_px: Sequence[float] = (32, 64, 128, 256, 512),
        *,
        octave_scales: int = 3,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        is_rounded: bool = True,
    ) -> None:
        self.is_rounded = is_rounded
        factors = [2.0 ** (octave / octave_scales) for octave in range(octave_scales)]
        sizes = [[int(size * f) if is_rounded else size * f for f in factors] for size in sizes_px]
        super().__init__(sizes, [tuple(ratios)] * len(sizes))

    def generate_anchors(
        self,
        scales: Sequence[float],
        aspect_ratios: Sequence[float],
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> Tensor:
        """Anchors of one level around (0, 0), shape (ratios × scales, 4)."""
        # Rounded sizes are computed in float32, because torchvision does and halves fall either way.
        exact = dtype if self.is_rounded else torch.float64
        height_factor = torch.as_tensor(aspect_ratios, dtype=exact, device=device).sqrt()
        sides = torch.as_tensor(scales, dtype=exact, device=device)
        heights = (height_factor[:, None] * sides).flatten()
        widths = ((1 / height_factor)[:, None] * sides).flatten()
        corners = torch.stack([-heights, -widths, heights, widths], dim=1) / 2
        return corners.round() if self.is_rounded else corners

    def forward(self, images: Tensor, feature_maps: list[Tensor]) -> list[Tensor]:
        """Anchors (N, 4) of every image, finest level first; the same tensor for all images of the batch.

        Strides are `image size // map size` as in torchvision: with sides that are multiples of 128 they are
        8 … 128; a 416 px side has 59 and 104 on P6 and P7.

        Raises:
            ValueError: sizes are set for another number of levels.
        """
        if len(feature_maps) != len(self.cell_anchors):
            raise ValueError(
                f"anchor sizes are set for {len(self.cell_anchors)} levels, "
                f"the network gave {len(feature_maps)}. Give one entry of anchor_sizes_px per level."
            )
        first = feature_maps[0]
        dtype = torch.float64 if first.dtype == torch.float64 else torch.float32
        levels = [
            _over_grid(cell.to(device=first.device, dtype=dtype), feature.shape[-2:], images.shape[-2:])
            for cell, feature in zip(self.cell_anchors, feature_maps, strict=True)
        ]
        return [torch.cat(levels)] * len(images)


def _over_grid(cell: Tensor, grid: torch.Size, image: torch.Size) -> Tensor:
    (n_rows, n_cols), (height, width) = grid, image
    rows = torch.arange(n_rows, device=cell.device) * (height // n_rows)
    cols = torch.arange(n_cols, device=cell.device) * (width // n_cols)
    centres = torch.stack(torch.meshgrid(rows, cols, indexing="ij"), dim=-1).reshape(-1, 1, 2)
    return (centres.repeat(1, 1, 2) + cell).reshape(-1, 4)
