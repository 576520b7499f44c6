"""The backbones by name, and what all of them take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from mammo_monai.networks.lite_names import LITES, LiteName, is_lite
from mammo_monai.networks.pyramid import BackbonePyramid, InputNormalisation, P6Source, check_choice
from mammo_monai.networks.resnet import RESNETS, ResNetFPN

if TYPE_CHECKING:
    from typing_extensions import Unpack

BackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101"] | LiteName
BACKBONES: tuple[BackboneName, ...] = (*RESNETS, *LITES)


class PyramidOptions(TypedDict, total=False):
    """Keywords of every `BackbonePyramid`; defaults as in `NetworkSettings`."""

    in_channels: int
    fpn_channels: int
    p6_from: P6Source
    bn_eps: float
    input_normalisation: InputNormalisation


def backbone_pyramid(
    backbone: BackboneName, *, stride_in_1x1: bool = False, **options: Unpack[PyramidOptions]
) -> BackbonePyramid:
    """The backbone of that name with its feature pyramid and random weights.

    Raises:
        ValueError: an unknown backbone, or a setting outside its choices.
    """
    check_choice("backbone", backbone, BACKBONES)
    if not is_lite(backbone):
        return ResNetFPN(backbone, stride_in_1x1=stride_in_1x1, **options)
    if stride_in_1x1:
        raise ValueError("stride_in_1x1 needs a bottleneck backbone: resnet50 or resnet101.")
    from mammo_monai.networks.efficientnet import EfficientNetLiteFPN  # noqa: PLC0415  # timm takes 1 s to import

    return EfficientNetLiteFPN(backbone, **options)
