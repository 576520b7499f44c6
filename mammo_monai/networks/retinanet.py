"""RetinaNet for mammograms: MONAI's network with heads that fit torchvision's and Detectron2's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from monai.apps.detection.networks.retinanet_network import (
    RetinaNet,
    RetinaNetClassificationHead,
    RetinaNetRegressionHead,
)
from torch import Tensor, nn

from mammo_monai.networks.backbones import BackboneName, PyramidOptions, backbone_pyramid
from mammo_monai.networks.contract import Network, NetworkParts
from mammo_monai.networks.pyramid import InputNormalisation, P6Source, at_least_float32, check_choice

if TYPE_CHECKING:
    from typing_extensions import Unpack

HeadNorm = Literal["none", "gn8", "gn16", "gn32"]
# Groups. none: torchvision v1 and Detectron2; gn8: MONAI's stock heads; gn32: torchvision v2.
HEAD_NORM_GROUPS = {"none": 0, "gn8": 8, "gn16": 16, "gn32": 32}


class NetworkOptions(PyramidOptions, total=False):
    """Keywords of the backbone that `retinanet_network` passes on; defaults as in `NetworkSettings`."""

    stride_in_1x1: bool


@dataclass(frozen=True)
class NetworkSettings:
    """Everything that says which network it is; saved with its weights."""

    backbone: BackboneName = "resnet50"
    num_classes: int = 1
    num_anchors: int = 9
    head_norm: HeadNorm = "none"
    in_channels: int = 1
    fpn_channels: int = 256
    p6_from: P6Source = "p5"
    stride_in_1x1: bool = False
    bn_eps: float = 1e-5
    input_normalisation: InputNormalisation = "imagenet"


def retinanet_network(
    backbone: BackboneName = "resnet50",
    *,
    num_classes: int = 1,
    num_anchors: int = 9,
    head_norm: HeadNorm = "none",
    **pyramid: Unpack[NetworkOptions],
) -> MammoRetinaNet:
    """RetinaNet with levels P3-P7 and random weights; every keyword is a plain JSON value.

    | weights to load | head_norm | p6_from | stride_in_1x1 |
    |---|---|---|---|
    | torchvision `retinanet_resnet50_fpn` | none | p5 | no |
    | torchvision `retinanet_resnet50_fpn_v2` | gn32 | c5 | no |
    | Detectron2 RetinaNet R50, R101 | none | c5 | yes |

    Args:
        backbone: resnet18, resnet34, resnet50, resnet101, efficientnet_lite0, _lite1 or _lite2.
        num_classes: foreground classes; 1 = mass.
        num_anchors: anchors per location; must equal the detector's octave scales × ratios.
        head_norm: normalisation in both heads: none, or group norm in 8, 16 or 32 groups.
        pyramid: `in_channels` 1 (grey, repeated to three) or 3; `fpn_channels`; `p6_from` p5 or c5;
            `stride_in_1x1`; `bn_eps`; `input_normalisation` imagenet, half or none.

    Raises:
        ValueError: a setting outside its choices.

    Source: Lin et al., 2017 (RetinaNet): class bias −log(99), so that every anchor starts at score 0.01.
    """
    settings = NetworkSettings(
        backbone, num_classes=num_classes, num_anchors=num_anchors, head_norm=head_norm, **pyramid
    )
    return MammoRetinaNet(settings)


class MammoRetinaNet(RetinaNet, Network):  # type: ignore[misc]  # monai ships no types
    """MONAI's RetinaNet on a `BackbonePyramid`: head maps always in float32, no wait for the device."""

    architecture = "retinanet"
    if TYPE_CHECKING:  # torch.jit.script reads annotations
        feature_extractor: Any
        cls_key: str
        box_reg_key: str

    def __init__(self, settings: NetworkSettings) -> None:
        _check_head(settings)
        extractor = backbone_pyramid(
            settings.backbone,
            in_channels=settings.in_channels,
            fpn_channels=settings.fpn_channels,
            p6_from=settings.p6_from,
            stride_in_1x1=settings.stride_in_1x1,
            bn_eps=settings.bn_eps,
            input_normalisation=settings.input_normalisation,
        )
        super().__init__(2, settings.num_classes, settings.num_anchors, extractor, size_divisible=128)
        self.settings = settings
        shape = (settings.fpn_channels, settings.num_anchors)
        self.classification_head = ClassificationHead(*shape, settings.num_classes, settings.head_norm)
        self.regression_head = RegressionHead(*shape, settings.head_norm)

    def forward(
        self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None
    ) -> dict[str, list[Tensor]]:
        """Head maps, finest level first: class logits (B, A·K, H, W) and box offsets (B, A·4, H, W).

        Offsets are in axis order (row, col, height, width) per anchor. Arguments: `BackbonePyramid.forward`.
        """
        maps = list(self.feature_extractor(images, image_sizes).values())
        return {self.cls_key: self.classification_head(maps), self.box_reg_key: self.regression_head(maps)}

    @property
    def parts(self) -> NetworkParts:
        """What the parameters are."""
        body, heads = "feature_extractor.body.", ("classification_head.", "regression_head.")
        return NetworkParts(
            stem=tuple(body + part for part in self.feature_extractor.stem_parts),
            top=tuple(body + part for part in self.feature_extractor.top_parts),
            neck=("feature_extractor.fpn.",),
            heads=heads,
            classifier=heads[:1],
        )


class ClassificationHead(RetinaNetClassificationHead):  # type: ignore[misc]  # monai ships no types
    """Four 3×3 convolutions and the class logits, without MONAI's NaN checks, which wait for the device."""

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, norm: HeadNorm) -> None:
        super().__init__(in_channels, num_anchors, num_classes, spatial_dims=2, prior_probability=0.01)
        _set_norm(self.conv, norm)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Logits of every level, (B, A·K, H, W) each."""
        return [at_least_float32(self.cls_logits(self.conv(features))) for features in x]


class RegressionHead(RetinaNetRegressionHead):  # type: ignore[misc]  # monai ships no types
    """Four 3×3 convolutions and the box offsets, without MONAI's NaN checks."""

    def __init__(self, in_channels: int, num_anchors: int, norm: HeadNorm) -> None:
        super().__init__(in_channels, num_anchors, spatial_dims=2)
        _set_norm(self.conv, norm)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Offsets of every level, (B, A·4, H, W) each."""
        return [at_least_float32(self.bbox_reg(self.conv(features))) for features in x]


def _set_norm(conv: nn.Sequential, norm: HeadNorm) -> None:
    """Replaces MONAI's group norms, and lets the activations overwrite their input, as torchvision's do."""
    groups = HEAD_NORM_GROUPS[norm]
    for index, layer in enumerate(conv):
        if isinstance(layer, nn.GroupNorm):
            conv[index] = nn.GroupNorm(groups, layer.num_channels) if groups else nn.Identity()
        elif isinstance(layer, nn.ReLU):
            layer.inplace = True


def _check_head(settings: NetworkSettings) -> None:
    check_choice("head_norm", settings.head_norm, tuple(HEAD_NORM_GROUPS))
    groups = max(8, HEAD_NORM_GROUPS[settings.head_norm])  # MONAI's stock heads ask for 8 in any case
    if settings.fpn_channels < 1 or settings.fpn_channels % groups:
        raise ValueError(
            f"fpn_channels must be a multiple of {groups} with head_norm {settings.head_norm!r}, "
            f"got {settings.fpn_channels}."
        )
    if settings.num_classes < 1 or settings.num_anchors < 1:
        raise ValueError(
            "num_classes and num_anchors must be at least 1, "
            f"got {settings.num_classes} and {settings.num_anchors}."
        )
