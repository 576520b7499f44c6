"""What answers on a window of feature cells: pooling and one linear layer, or VGG's dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VGG_CELLS = 7
# Windows that VGG's dense layers take at once in `head_map`: 25 088 numbers each.
_WINDOWS_AT_ONCE = 256


class PooledHead(nn.Module):
    """Mean over the window, dropout, one linear layer: ResNet, Inception, EfficientNet; Shen's VGG16."""

    def __init__(self, channels: int, num_classes: int, cells: int, dropout: float) -> None:
        super().__init__()
        self.cells = cells
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits (N, K) of windows (N, C, cells, cells)."""
        return self._logits(windows.mean(dim=(2, 3)))

    def head_map(self, features: Tensor) -> Tensor:
        """Logits (B, K, h - cells + 1, w - cells + 1) of every window of a map (B, C, h, w)."""
        pooled = F.avg_pool2d(features, self.cells, stride=1)
        return self._logits(pooled.movedim(1, -1)).movedim(-1, 1)

    def _logits(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


class DenseHead(nn.Module):
    """VGG16's: the window pooled to 7 x 7 cells, two dense layers with dropout, one linear layer."""

    def __init__(self, channels: int, num_classes: int, cells: int, width: int, dropout: float) -> None:
        super().__init__()
        self.cells = cells
        self.dense = nn.Sequential(
            nn.Linear(channels * VGG_CELLS**2, width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(width, num_classes)
        for layer in self.dense:
            if isinstance(layer, nn.Linear):
                # torchvision's SD of 0.01 lets the signal fade where there is no batch norm.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits (N, K) of windows (N, C, cells, cells)."""
        pooled = F.adaptive_avg_pool2d(windows, VGG_CELLS)
        # Not flatten: windows in channels-last order must be read in torchvision's order, channel by channel.
        logits: Tensor = self.classifier(self.dense(pooled.contiguous().flatten(1)))
        return logits

    def head_map(self, features: Tensor) -> Tensor:
        """Logits (B, K, h - cells + 1, w - cells + 1) of every window of a map (B, C, h, w)."""
        views = features.unfold(2, self.cells, 1).unfold(3, self.cells, 1)  # (B, C, rows, cols, cells, cells)
        batch, channels, rows, cols = views.shape[:4]
        windows = views.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, self.cells, self.cells)
        logits = torch.cat([self(part) for part in torch.split(windows, _WINDOWS_AT_ONCE)])
        return logits.reshape(batch, rows, cols, -1).movedim(-1, 1)


def patch_head(
    channels: int, num_classes: int, cells: int, *, width: int, dropout: float
) -> PooledHead | DenseHead:
    """VGG's head of `width` dense neurons, or the pooled one where `width` is 0; random weights."""
    head: PooledHead | DenseHead = (
        DenseHead(channels, num_classes, cells, width, dropout)
        if width
        else PooledHead(channels, num_classes, cells, dropout)
    )
    draw_classifier(head.classifier)
    return head


def draw_classifier(layer: nn.Linear) -> None:
    """Small normal weights (SD 0.01) and no bias: all classes start equally probable."""
    nn.init.normal_(layer.weight, 0.0, 0.01)
    nn.init.zeros_(layer.bias)
