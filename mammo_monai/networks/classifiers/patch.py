"""The patch classifier: a backbone and a head that says what a window of a mammogram shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from torch import Tensor, nn

from mammo_monai.networks.classifiers.backbones import (
    BACKBONES,
    INCEPTION_MIN_PX,
    STRIDE_PX,
    VGGS,
    PatchBackbone,
    backbone_parts,
    classifier_backbone,
)
from mammo_monai.networks.classifiers.contrast import CONTRASTS, Contrast, check_window, network_input
from mammo_monai.networks.classifiers.heads import patch_head
from mammo_monai.networks.contract import Network, NetworkParts
from mammo_monai.networks.pyramid import NORMALISATIONS, InputNormalisation, check_choice

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PatchOptions(TypedDict, total=False):
    """Keywords of `patch_network` that it passes on; meaning in `PatchSettings`."""

    in_channels: int
    head_width: int
    dropout: float | None


@dataclass(frozen=True)
class PatchSettings:
    """Everything that says which patch classifier it is; saved with its weights.

    Attributes:
        num_classes: with the background, class 0; at least 2.
        patch_px: side of a patch, a multiple of 32; for inception_v3 any from 75 on.
        contrast: patch, P3's global contrast normalisation; none takes images as they are.
        input_normalisation: imagenet (VGG, ResNet), half (Inception, EfficientNet-Lite0) or none.
        in_channels: 1, grey, repeated to three; or 3.
        head_width: neurons of VGG's two dense layers; 0 pools the window instead, as the others do.
        dropout: before the linear layers.

    Raises:
        ValueError: a value outside its choices.
    """

    backbone: PatchBackbone = "resnet50"
    num_classes: int = 2
    patch_px: int = 224
    contrast: Contrast = "none"
    input_normalisation: InputNormalisation = "imagenet"
    in_channels: int = 1
    head_width: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_choice("backbone", self.backbone, tuple(BACKBONES))
        check_choice("contrast", self.contrast, CONTRASTS)
        check_choice("input_normalisation", self.input_normalisation, tuple(NORMALISATIONS))
        check_choice("in_channels", self.in_channels, (1, 3))
        _check_patch(self.backbone, self.patch_px)
        if self.num_classes < 2:
            raise ValueError(f"num_classes counts the background and must be at least 2: {self.num_classes}.")
        if self.head_width < 0 or (self.head_width and self.backbone not in VGGS):
            raise ValueError(
                f"head_width must be 0 (pooling) or, with {' or '.join(VGGS)}, above; "
                f"got {self.head_width} with {self.backbone}."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}.")

    @property
    def cells(self) -> int:
        """Side of the feature map of one patch."""
        return BACKBONES[self.backbone].cells(self.patch_px)


def patch_network(
    backbone: PatchBackbone = "resnet50",
    *,
    num_classes: int = 2,
    patch_px: int = 224,
    contrast: Contrast = "none",
    input_normalisation: InputNormalisation | None = None,
    **options: Unpack[PatchOptions],
) -> PatchNetwork:
    """A patch classifier with random weights; every keyword is a plain JSON value.

    | backbone | cells of a 224 px patch | head |
    |---|---|---|
    | vgg16, vgg16_bn | 7 x 7 | two dense layers of 4096, one linear |
    | resnet18, resnet50 | 7 x 7 | mean, one linear |
    | inception_v3 | 5 x 5 | mean, one linear |
    | efficientnet_lite0 | 7 x 7 | mean, one linear |

    Args:
        backbone: P3 compares vgg16, resnet50 and inception_v3 (its best); the others are smaller.
        num_classes: 2, background and mass; 5 for P4's lesion types.
        patch_px, contrast: see `PatchSettings`.
        input_normalisation: None takes what the backbone's published weights need.
        options: `in_channels`, `head_width` (None or absent: 4096 for VGG), `dropout` (None or absent: as
            published: VGG and Inception 0.5, EfficientNet-Lite0 0.2, ResNet 0).

    Raises:
        ValueError: a setting outside its choices.

    Source: P3, § 2.3: VGG16, ResNet50 and InceptionV3 on patches of 224 px.
    """
    check_choice("backbone", backbone, tuple(BACKBONES))
    facts = BACKBONES[backbone]
    dropout = options.get("dropout")
    settings = PatchSettings(
        backbone,
        num_classes=num_classes,
        patch_px=patch_px,
        contrast=contrast,
        input_normalisation=input_normalisation or facts.normalisation,
        in_channels=options.get("in_channels", 1),
        head_width=options.get("head_width", 4096 if backbone in VGGS else 0),
        dropout=facts.dropout if dropout is None else dropout,
    )
    return PatchNetwork(settings)


class PatchNetwork(Network):
    """Features of images at stride 32, and class logits of windows of them.

    A patch whose first row and column are 32·i and 32·j in an image has its features at cells
    [i, i + cells) × [j, j + cells) of the image's map. They are equal only where no padding was seen: inside
    an image a window also sees what lies around it, where its own patch sees the zeros of each padded
    convolution. Inception's stem is not padded (its later blocks are): an image of H rows has
    (H - 75) // 32 + 1 cells, and five of them, a patch of 224 px, rest on its first 203 rows only, so an
    image's last window may belong to a patch that reaches up to 21 px beyond the image.

    Attributes:
        stride_px: pixels between two cells. cells: side of the feature map of one patch.
    """

    architecture = "patch_classifier"
    stride_px = STRIDE_PX
    settings: PatchSettings

    def __init__(self, settings: PatchSettings) -> None:
        super().__init__()
        self.settings = settings
        self.cells = settings.cells
        self.backbone = classifier_backbone(settings.backbone)
        self.head = patch_head(
            BACKBONES[settings.backbone].channels,
            settings.num_classes,
            self.cells,
            width=settings.head_width,
            dropout=settings.dropout,
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Class logits (B, K) of patches (B, in_channels, patch_px, patch_px) in [0, 1]; 0 = background.

        Raises:
            ValueError: patches of another size.
        """
        side = self.settings.patch_px
        if tuple(patches.shape[2:]) != (side, side):
            raise ValueError(
                f"the network takes patches of {side} x {side} px, got a batch {list(patches.shape)}. "
                "Cut patches of that side, or build the network with another patch_px."
            )
        logits: Tensor = self.head(self.features(patches))
        return logits

    def features(self, images: Tensor, *, window_px: int | None = None) -> Tensor:
        """Feature maps (B, C, h, w) of images (B, in_channels, H, W) in [0, 1], of any size from a patch on.

        Args:
            window_px: with contrast patch, the side of the square around each pixel whose mean and standard
                deviation it takes (dense mode: `patch_px`); None takes those of the whole image.
        """
        return backbone_features(self.backbone, self.settings, images, window_px=window_px)

    def head_map(self, features: Tensor) -> Tensor:
        """Logits (B, K, h - cells + 1, w - cells + 1) of every window of a feature map (B, C, h, w).

        Equal to `head` on each window; the pooled heads take one pass.

        Raises:
            ValueError: the map is smaller than a window.
        """
        check_map(features, self.cells)
        logits: Tensor = self.head.head_map(features)
        return logits

    @property
    def parts(self) -> NetworkParts:
        """What the parameters are."""
        stem, top = backbone_parts(self.settings.backbone)
        return NetworkParts(
            stem=tuple(f"backbone.{part}" for part in stem),
            top=tuple(f"backbone.{part}" for part in top),
            neck=(),
            heads=("head.",),
            classifier=("head.classifier.",),
        )


def backbone_features(
    backbone: nn.Module, settings: PatchSettings, images: Tensor, *, window_px: int | None
) -> Tensor:
    """Feature maps of images (B, in_channels, H, W) in [0, 1]; see `PatchNetwork.features`."""
    check_window(window_px)
    x = network_input(
        images,
        in_channels=settings.in_channels,
        contrast=settings.contrast,
        normalisation=settings.input_normalisation,
        window_px=window_px,
    )
    features: Tensor = backbone(x)
    return features


def check_map(features: Tensor, cells: int) -> None:
    """Raises ValueError where a feature map is smaller than a window."""
    if min(features.shape[2:]) < cells:
        raise ValueError(
            f"an image must be at least as large as a patch: its feature map has "
            f"{features.shape[2]} x {features.shape[3]} cells, a window {cells} x {cells}. "
            "Pad the image, or build the network with a smaller patch_px."
        )


def _check_patch(backbone: PatchBackbone, patch_px: int) -> None:
    if backbone == "inception_v3":
        if patch_px < INCEPTION_MIN_PX:
            raise ValueError(f"patch_px must be at least 75 with inception_v3, got {patch_px}.")
    elif patch_px < STRIDE_PX or patch_px % STRIDE_PX:
        raise ValueError(f"patch_px must be a multiple of 32 with {backbone}, got {patch_px}.")
