"""The whole-image classifier: a patch classifier run over the image, and layers on top that sum it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from torch import Tensor, nn

from mammo_monai.networks.classifiers.backbones import (
    BACKBONES,
    VGGS,
    PatchBackbone,
    backbone_parts,
    classifier_backbone,
)
from mammo_monai.networks.classifiers.contrast import Contrast
from mammo_monai.networks.classifiers.heads import DenseHead, PooledHead, draw_classifier, patch_head
from mammo_monai.networks.classifiers.patch import PatchSettings, backbone_features, check_map
from mammo_monai.networks.classifiers.tops import (
    NORM_GROUPS,
    TOP_NORMS,
    TOPS,
    AddedNorm,
    TopName,
    TopNorm,
    convolutional_top,
    pooled_heatmap_top,
)
from mammo_monai.networks.contract import Network, NetworkParts
from mammo_monai.networks.pyramid import InputNormalisation, check_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self, Unpack

Heatmap = Literal["none", "softmax", "relu"]
Variant = Literal["convolutional", "pooled_heatmap"]
HEATMAPS: tuple[Heatmap, ...] = ("none", "softmax", "relu")
VARIANTS: tuple[Variant, ...] = ("convolutional", "pooled_heatmap")


class WholeImageOptions(TypedDict, total=False):
    """Keywords of `whole_image_network` that it passes on; meaning and defaults in `WholeImageSettings`."""

    num_classes: int
    top_widths: Sequence[int]
    top_repetitions: int
    top_norm: TopNorm
    patch_classes: int
    patch_px: int
    contrast: Contrast
    in_channels: int


@dataclass(frozen=True)
class WholeImageSettings:
    """Everything that says which whole-image classifier it is; saved with its weights.

    Attributes:
        top: resnet or vgg blocks, whatever the backbone: P4's hybrids are the mixed ones.
        heatmap: what the top layers see: none, the backbone's features; softmax or relu, the patch classes'
            scores on a grid of 32 px.
        variant: convolutional (top blocks, mean over the map) or pooled_heatmap (largest scores, two dense
            layers), which P4 compares.
        num_classes: of an image; 2, class 1 = positive.
        top_widths: one block each, at least one. top_repetitions: layers per block. top_norm: batch, or
            group for batches of one to four images.
        patch_classes, patch_px, contrast, input_normalisation, in_channels, head_width, dropout: the patch
            classifier's, `PatchSettings`; contrast is that of a moving window of patch_px. Without a heatmap
            patch_classes and head_width mean nothing.

    Raises:
        ValueError: a value outside its choices.
    """

    backbone: PatchBackbone = "resnet50"
    top: TopName = "resnet"
    heatmap: Heatmap = "none"
    variant: Variant = "convolutional"
    num_classes: int = 2
    top_widths: tuple[int, ...] = (512, 512)
    top_repetitions: int = 1
    top_norm: TopNorm = "batch"
    patch_classes: int = 2
    patch_px: int = 224
    contrast: Contrast = "none"
    input_normalisation: InputNormalisation = "imagenet"
    in_channels: int = 1
    head_width: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.top_widths, (tuple, list)):
            raise ValueError(f"top_widths must be a list, one width per block, got {self.top_widths!r}.")
        object.__setattr__(self, "top_widths", tuple(self.top_widths))  # JSON gives a list
        _ = self.patch  # checks its own
        check_choice("top", self.top, TOPS)
        check_choice("heatmap", self.heatmap, HEATMAPS)
        check_choice("variant", self.variant, VARIANTS)
        check_choice("top_norm", self.top_norm, TOP_NORMS)
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {self.num_classes}.")
        if self.variant == "pooled_heatmap" and self.heatmap == "none":
            raise ValueError("variant pooled_heatmap needs heatmap softmax or relu, got none.")
        step = NORM_GROUPS if self.top_norm == "group" else 1
        if not self.top_widths or any(width < 1 or width % step for width in self.top_widths):
            raise ValueError(
                f"top_widths must be one or more multiples of {step} with top_norm {self.top_norm}, "
                f"got {list(self.top_widths)}."
            )
        if self.top_repetitions < 1:
            raise ValueError(f"top_repetitions must be at least 1, got {self.top_repetitions}.")

    @property
    def patch(self) -> PatchSettings:
        """The settings of the patch classifier inside."""
        return PatchSettings(
            self.backbone,
            num_classes=self.patch_classes,
            patch_px=self.patch_px,
            contrast=self.contrast,
            input_normalisation=self.input_normalisation,
            in_channels=self.in_channels,
            head_width=self.head_width,
            dropout=self.dropout,
        )


def whole_image_network(
    backbone: PatchBackbone = "resnet50",
    *,
    top: TopName = "resnet",
    heatmap: Heatmap = "none",
    variant: Variant = "convolutional",
    input_normalisation: InputNormalisation | None = None,
    head_width: int | None = None,
    dropout: float | None = None,
    **options: Unpack[WholeImageOptions],
) -> WholeImageNetwork:
    """A whole-image classifier with random weights; every keyword is a plain JSON value.

    Start it from a patch classifier's file: `initialise(network, path)` fills the backbone and, with a
    heatmap, the patch head; the rest is drawn anew.

    Args:
        backbone, top, heatmap, variant: see `WholeImageSettings`.
        input_normalisation, head_width, dropout: None takes what `patch_network` takes.
        options: the other fields of `WholeImageSettings`.

    Raises:
        ValueError: a setting outside its choices.

    Source: P4, § 4; Shen et al., 2019, "Deep learning to improve breast cancer detection on screening
    mammography", Scientific Reports 9:12495: top layers of two residual blocks of stride 2, global average
    pooling, no heatmap, on 1152 x 896 px.
    """
    check_choice("backbone", backbone, tuple(BACKBONES))
    facts = BACKBONES[backbone]
    default_width = 4096 if backbone in VGGS else 0
    settings = WholeImageSettings(
        backbone,
        top=top,
        heatmap=heatmap,
        variant=variant,
        input_normalisation=input_normalisation or facts.normalisation,
        head_width=default_width if head_width is None else head_width,
        dropout=facts.dropout if dropout is None else dropout,
        **options,  # type: ignore[arg-type]  # top_widths becomes a tuple
    )
    return WholeImageNetwork(settings)


class WholeImageNetwork(Network):
    """Logits of whole mammograms of any size from a patch on; trained end to end.

    Parts: heads are the added layers (top blocks or dense layers, and the last linear one); the patch head of
    a heatmap is the neck.
    """

    architecture = "whole_image_classifier"
    settings: WholeImageSettings

    def __init__(self, settings: WholeImageSettings) -> None:
        super().__init__()
        self.settings = settings
        channels = BACKBONES[settings.backbone].channels
        self.backbone = classifier_backbone(settings.backbone)
        self.head: PooledHead | DenseHead | None = None
        if settings.heatmap != "none":
            self.head = patch_head(
                channels,
                settings.patch_classes,
                settings.patch.cells,
                width=settings.head_width,
                dropout=settings.dropout,
            )
            channels = settings.patch_classes
        self.top, channels = _top(settings, channels)
        self.classifier = nn.Linear(channels, settings.num_classes)
        draw_classifier(self.classifier)

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (B, K) of images (B, in_channels, H, W) in [0, 1]; class 1 = positive."""
        maps = self.features(images) if self.head is None else self.heatmap(images)
        summed: Tensor = self.top(maps)
        if summed.dim() == 4:
            summed = summed.mean(dim=(2, 3))
        logits: Tensor = self.classifier(summed)
        return logits

    def features(self, images: Tensor) -> Tensor:
        """The backbone's maps (B, C, h, w), stride 32."""
        window = self.settings.patch_px if self.settings.contrast == "patch" else None
        return backbone_features(self.backbone, self.settings.patch, images, window_px=window)

    def heatmap(self, images: Tensor) -> Tensor:
        """Scores of the patch classes (B, patch_classes, rows, cols), one per window of patch_px, stride 32.

        Raises:
            ValueError: the network has no heatmap, or the images are smaller than a patch.
        """
        if self.head is None:
            raise ValueError("this network has no heatmap: build it with heatmap softmax or relu.")
        features = self.features(images)
        check_map(features, self.head.cells)
        logits = self.head.head_map(features)
        return logits.float().softmax(dim=1) if self.settings.heatmap == "softmax" else logits.relu()

    @property
    def parts(self) -> NetworkParts:
        """What the parameters are."""
        stem, top = backbone_parts(self.settings.backbone)
        return NetworkParts(
            stem=tuple(f"backbone.{part}" for part in stem),
            top=tuple(f"backbone.{part}" for part in top),
            neck=() if self.head is None else ("head.",),
            heads=("top.", "classifier."),
            classifier=("classifier.",),
        )

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; frozen norms of the top layers stay in evaluation mode, like the backbone's."""
        super().train(mode)
        for layer in self.top.modules():
            if isinstance(layer, AddedNorm) and not layer.weight.requires_grad:
                layer.eval()
        return self


def _top(settings: WholeImageSettings, channels: int) -> tuple[nn.Sequential, int]:
    if settings.variant == "pooled_heatmap":
        return pooled_heatmap_top(channels, norm=settings.top_norm, dropout=settings.dropout)
    return convolutional_top(
        channels,
        settings.top,
        settings.top_widths,
        repetitions=settings.top_repetitions,
        norm=settings.top_norm,
    )
