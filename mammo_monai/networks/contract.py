"""What the engines and inference expect of any detector, whatever its architecture."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Detector(Protocol):
    """A module that answers with losses in training mode and with detections in evaluation mode.

    Images: a list of float tensors (1, H, W) in [0, 1]; their sizes may differ, the detector pads them.
    Targets: one dict per image, `box` (N, 4) float in MONAI axis order (row_min, col_min, row_max, col_max),
    pixels of that image, half-open; `label` (N,) int64, 0 = mass. N = 0 marks a normal image.

    After `.train()` a call returns `{"classification": scalar, "box_regression": scalar}`.
    After `.eval()` it returns one dict per image, highest score first: `box` (N, 4) clipped to the image,
    `label` (N,) int64, `label_scores` (N,) float32 in [0, 1].

    Only `network` holds parameters: save, freeze and optimise that.
    """

    network: nn.Module
    training: bool

    def __call__(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses or detections, by mode."""
        ...

    def train(self, mode: bool = True) -> Detector:
        """Sets training mode and returns itself."""
        ...

    def eval(self) -> Detector:
        """Sets evaluation mode and returns itself."""
        ...
