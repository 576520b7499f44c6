"""Small networks, detectors and images for saliency."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mammo_monai.networks import retinanet_detector, retinanet_network
from mammo_monai.networks.detector import MammoRetinaNetDetector


class TinyClassifierNetwork(nn.Module):
    """Two convolutions, one rectifier that overwrites its input and one called as a function; two classes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.classes = nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            for each in self.parameters():
                each.copy_(torch.randn(each.shape, generator=generator))
            self.classes.weight[0] = 0.0  # log odds are then the second row alone

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classes(F.relu6(self.second(self.act(self.first(images)))).mean((2, 3)))
        return logits


class TinyClassifier(nn.Module):
    """The classifier contract around a network of two classes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        logits = self.network(torch.stack(input_images))
        return [{"probabilities": each} for each in logits.softmax(1)]


def small_detector(seed: int = 0) -> MammoRetinaNetDetector:
    """A RetinaNet of few channels whose heads see differences, with a low threshold."""
    torch.manual_seed(seed)
    network = retinanet_network(
        "efficientnet_lite0", fpn_channels=16, head_norm="gn8", num_anchors=2, bn_eps=1e-3
    )
    nn.init.normal_(network.classification_head.cls_logits.weight, std=0.3)
    nn.init.constant_(network.classification_head.cls_logits.bias, 0.0)
    nn.init.normal_(network.regression_head.bbox_reg.weight, std=0.1)
    detector = retinanet_detector(
        network,
        anchor_sizes_px=(16, 32, 64, 128, 256),
        octave_scales=1,
        anchor_ratios=(0.5, 1.0),
        score_threshold=0.05,
        detections_per_image=12,
    )
    detector.eval()
    return detector


def noisy_image(height: int = 100, width: int = 150, seed: int = 1) -> Tensor:
    """A bright spot on noise, (1, height, width), no multiple of any stride."""
    image = 0.2 * torch.rand((1, height, width), generator=torch.Generator().manual_seed(seed))
    image[0, 30:50, 80:110] += 0.7
    return image
