"""A patch network without weights or padding: what it says of a patch can be counted by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE_PX = 8


@dataclass(frozen=True)
class FakeSettings:
    patch_px: int = 32


class BrightnessNetwork(nn.Module):
    """The logit of class 1 grows with the share of bright pixels in a patch; class 0 has logit 0.

    Features are means of 8 × 8 px, without padding: a window of an image's features is that of the patch.
    """

    def __init__(self, num_classes: int = 2, patch_px: int = 32) -> None:
        super().__init__()
        self.settings = FakeSettings(patch_px)
        self.stride_px = STRIDE_PX
        self.cells = patch_px // STRIDE_PX
        self.num_classes = num_classes
        self.gain = nn.Parameter(torch.tensor(20.0))
        self.seen: list[tuple[int, ...]] = []
        self.windows_px: list[int | None] = []
        self.head_sizes: list[int] = []

    def features(self, images: Tensor, *, window_px: int | None = None) -> Tensor:
        self.seen.append(tuple(images.shape))
        self.windows_px.append(window_px)
        return F.avg_pool2d((images > 0.5).float(), STRIDE_PX)

    def head(self, windows: Tensor) -> Tensor:
        self.head_sizes.append(len(windows))
        share = windows.mean(dim=(1, 2, 3))
        logit = self.gain * (share - 0.5)
        return torch.stack(
            [torch.zeros_like(logit), *[logit + k for k in range(self.num_classes - 1)]], dim=1
        )

    def head_map(self, features: Tensor) -> Tensor:
        windows = features.unfold(2, self.cells, 1).unfold(3, self.cells, 1)
        batch, channels, rows, cols = windows.shape[:4]
        logits = self.head(windows.movedim(1, 3).reshape(-1, channels, self.cells, self.cells))
        return logits.reshape(batch, rows, cols, -1).movedim(-1, 1)

    def forward(self, patches: Tensor) -> Tensor:
        return self.head(self.features(patches))


class FakeClassifier(nn.Module):
    """The protocol of `networks.contract.Classifier` around a network."""

    def __init__(self, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network: nn.Module = network or BrightnessNetwork()

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        if self.training:
            return {"classification": torch.zeros(())}
        logits = self.network(torch.stack(input_images))
        return [{"probabilities": each} for each in logits.softmax(dim=1)]


def breast_with_disc(
    width: int, height: int, centre: tuple[int, int] | None, radius: int = 20, *, is_right: bool = False
) -> Tensor:
    """A breast of 0.3 that fills 0.8 of the width from one side, a disc of 0.9 in it, black elsewhere."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.where(x < 0.8 * width, 0.3, 0.0)
    if centre is not None:
        is_disc = (x + 0.5 - centre[0]) ** 2 + (y + 0.5 - centre[1]) ** 2 < radius**2
        image = torch.where(is_disc, 0.9, image)
    return (image.flip(-1) if is_right else image)[None].contiguous()
