"""What Faster R-CNN is built of: its pyramid P2-P6, the heads of its two stages, and the cut-outs between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.poolers import LevelMapper

from mammo_monai.errors import MammoError
from mammo_monai.networks.pyramid import at_least_float32, batch_norms
from mammo_monai.networks.resnet import ResNetFPN, ResNetName

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mammo_monai.networks.backbones import PyramidOptions

FasterRCNNVersion = Literal["v1", "v2"]
ROI_CELLS = 7  # side of a cut-out; source: Lin et al., 2017 (FPN), torchvision and Detectron2
POOLED_LEVELS = ("0", "1", "2", "3")  # P2 … P5; P6 ("pool") proposes regions only


class ResNetPyramidP2(ResNetFPN):
    """A ResNet body with torchvision's pyramid P2-P6 (strides 4, 8, 16, 32, 64) in place of P3-P7.

    Args:
        has_norm: batch norms in the pyramid, as torchvision's v2 has them.
        stride_in_1x1, options: see `ResNetFPN`.
    """

    def __init__(
        self,
        backbone: ResNetName = "resnet50",
        *,
        has_norm: bool = False,
        stride_in_1x1: bool = False,
        **options: Unpack[PyramidOptions],
    ) -> None:
        super().__init__(backbone, stride_in_1x1=stride_in_1x1, **options)
        c5 = 512 * self.body.layer4[0].expansion
        self.fpn = FeaturePyramidNetwork(
            [c5 // 8, c5 // 4, c5 // 2, c5],
            self.out_channels,
            LastLevelMaxPool(),
            norm_layer=nn.BatchNorm2d if has_norm else None,
        )
        for norm in batch_norms(self.fpn):
            norm.eps = options.get("bn_eps", norm.eps)

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None) -> dict[str, Tensor]:
        """Feature maps by name, finest first: "0" … "3" are P2 … P5, "pool" is P6; see `BackbonePyramid`."""
        body = self.body
        x = self.normalised(images, image_sizes)
        c2 = body.layer1(body.maxpool(body.act(body.bn1(body.conv1(x)))))
        c3 = body.layer2(c2)
        c4 = body.layer3(c3)
        pyramid: dict[str, Tensor] = self.fpn({"0": c2, "1": c3, "2": c4, "3": body.layer4(c4)})
        return pyramid


class ProposalHead(RPNHead):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's head of the first stage, its maps always in float32.

    Boxes decoded in bfloat16 are up to 22 px off on a 4096×3328 image.
    """

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness logits (B, A, H, W) and box offsets (B, A·4, H, W) of every level.

        Raises:
            MammoError: a number that is not finite, in evaluation mode.
        """
        logits, offsets = super().forward(x)
        if not self.training:
            _check_finite(logits)
        return [at_least_float32(level) for level in logits], [at_least_float32(level) for level in offsets]


class BoxPredictor(FastRCNNPredictor):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's last layers of the second stage, their answers always in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, K + 1), background first, and box offsets (N, 4·(K + 1)).

        Raises:
            MammoError: a number that is not finite, in evaluation mode.
        """
        logits, offsets = super().forward(x)
        if not self.training:
            _check_finite([logits])
        return at_least_float32(logits), at_least_float32(offsets)


class PyramidRoIAlign(nn.Module):
    """Cut-outs (N, C, 7, 7) of regions, each from the level that fits its size; always in float32.

    torchvision's `MultiScaleRoIAlign` guesses the strides from the first images it sees and keeps them: after
    an image of 40 px padded to 64 it cuts at the wrong place for good. Here they are what they are.

    Args:
        is_aligned: half-pixel exact (Detectron2's ROIAlignV2); torchvision's models are half a cell off and
            take regions as one cell wide at least.
        sampling_ratio: points per cell and axis; 0 takes as many as the region has map cells (Detectron2).

    Source: Lin et al., 2017 (FPN), equation 1: the level is floor(4 + log2(√area / 224)).
    """

    def __init__(self, *, is_aligned: bool = False, sampling_ratio: int = 2) -> None:
        super().__init__()
        if sampling_ratio < 0:
            raise ValueError(f"roi_sampling_ratio must be 0 (by size) or more, got {sampling_ratio}.")
        self.is_aligned = is_aligned
        self.sampling_ratio = sampling_ratio
        self.level_of = LevelMapper(2, 5)

    def forward(
        self, maps: dict[str, Tensor], boxes: list[Tensor], image_sizes: list[tuple[int, int]]
    ) -> Tensor:
        """Cut-outs of the regions of all images in turn.

        Args:
            maps: of `ResNetPyramidP2`. boxes: per image (N, 4), (x, y, x, y) in pixels of the batch.
            image_sizes: torchvision passes them; the strides need no guess.
        """
        levels = self.level_of(boxes)
        images = torch.cat([torch.full_like(each[:, :1], n) for n, each in enumerate(boxes)])
        regions = torch.cat([images, torch.cat(boxes)], dim=1)
        first = maps[POOLED_LEVELS[0]]
        dtype = at_least_float32(first[:0]).dtype
        cuts = first.new_zeros((len(regions), first.shape[1], ROI_CELLS, ROI_CELLS), dtype=dtype)
        for index, name in enumerate(POOLED_LEVELS):
            chosen = (levels == index).nonzero().squeeze(1)
            cuts[chosen] = roi_align(
                maps[name].to(dtype),
                regions[chosen].to(dtype),
                ROI_CELLS,
                spatial_scale=0.25 / 2**index,
                sampling_ratio=self.sampling_ratio,
                aligned=self.is_aligned,
            )
        return cuts


def box_head(version: FasterRCNNVersion, channels: int, representation_size: int) -> nn.Module:
    """What torchvision's second stage makes of cut-outs (N, channels, 7, 7): (N, representation_size).

    v1: two fully connected layers; v2: four 3×3 convolutions with batch norm, then one of them.
    """
    head: nn.Module
    if version == "v1":
        head = TwoMLPHead(channels * ROI_CELLS**2, representation_size)
    else:
        size = (channels, ROI_CELLS, ROI_CELLS)
        head = FastRCNNConvFCHead(size, [channels] * 4, [representation_size], norm_layer=nn.BatchNorm2d)
    return head


def _check_finite(maps: list[Tensor]) -> None:
    """torchvision leaves out what scores NaN: an image on which the network fails would have no findings."""
    if not bool(torch.stack([torch.isfinite(each).all() for each in maps]).all()):
        raise MammoError(
            "the network answers with numbers that are not finite (NaN or infinite): the image's pixels or "
            "the network's weights are damaged, or precision fp16 is too narrow for it."
        )
