"""Faster R-CNN for mammograms, of torchvision's own parts: the network of both stages and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from mammo_monai.geometry.axes import rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.networks.contract import Network, NetworkParts
from mammo_monai.networks.faster_rcnn_parts import (
    BoxPredictor,
    FasterRCNNVersion,
    ProposalHead,
    PyramidRoIAlign,
    ResNetPyramidP2,
    box_head,
)
from mammo_monai.networks.faster_rcnn_stages import FasterRCNNDetectorSettings, box_stage, proposal_stage
from mammo_monai.networks.pyramid import InputNormalisation, batch_norms, check_choice
from mammo_monai.networks.resnet import ResNetName

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DEFAULT_RULE = FasterRCNNDetectorSettings()


class FasterRCNNOptions(TypedDict, total=False):
    """Further keywords of `faster_rcnn_network`; meaning and defaults in `FasterRCNNSettings`."""

    num_anchors: int
    in_channels: int
    fpn_channels: int
    representation_size: int
    roi_aligned: bool
    roi_sampling_ratio: int
    stride_in_1x1: bool
    bn_eps: float
    input_normalisation: InputNormalisation


@dataclass(frozen=True)
class FasterRCNNSettings:
    """Everything that says which network it is; saved with its weights.

    Attributes:
        backbone: resnet18, resnet34, resnet50 or resnet101.
        num_classes: foreground classes; 1 = mass.
        version: v1 (torchvision's `fasterrcnn_resnet50_fpn`, Detectron2's R50-FPN: two fully connected layers
            in the second stage) or v2 (`fasterrcnn_resnet50_fpn_v2`: two convolutions in the first stage,
            four and one fully connected layer in the second, batch norms there and in the pyramid).
        num_anchors: anchors per location; must equal the detector's octave scales × ratios.
        in_channels: 1 (grey, repeated to three) or 3.
        fpn_channels: channels of the pyramid, and of v2's second stage.
        representation_size: width of the fully connected layers.
        roi_aligned, roi_sampling_ratio: how regions are cut out, see `PyramidRoIAlign`.
        stride_in_1x1: Detectron2's original ResNets, see `ResNetFPN`.
        bn_eps: epsilon of all batch norms.
        input_normalisation: imagenet, half or none.

    Raises:
        ValueError: a value outside its choices.
    """

    backbone: ResNetName = "resnet50"
    num_classes: int = 1
    version: FasterRCNNVersion = "v1"
    num_anchors: int = 3
    in_channels: int = 1
    fpn_channels: int = 256
    representation_size: int = 1024
    roi_aligned: bool = False
    roi_sampling_ratio: int = 2
    stride_in_1x1: bool = False
    bn_eps: float = 1e-5
    input_normalisation: InputNormalisation = "imagenet"

    def __post_init__(self) -> None:
        check_choice("version", self.version, ("v1", "v2"))
        for name in ("num_classes", "num_anchors", "fpn_channels", "representation_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


def faster_rcnn_network(
    backbone: ResNetName = "resnet50",
    *,
    num_classes: int = 1,
    version: FasterRCNNVersion = "v1",
    **options: Unpack[FasterRCNNOptions],
) -> MammoFasterRCNN:
    """Faster R-CNN with levels P2-P6 and random weights; every keyword is a plain JSON value.

    | weights to load | version | stride_in_1x1 | roi_aligned | roi_sampling_ratio |
    |---|---|---|---|---|
    | torchvision `fasterrcnn_resnet50_fpn` | v1 | no | no | 2 |
    | torchvision `fasterrcnn_resnet50_fpn_v2` | v2 | no | no | 2 |
    | Detectron2 Faster R-CNN R50-FPN, R101-FPN | v1 | yes | yes | 0 |

    Args:
        backbone, num_classes, version, options: fields of `FasterRCNNSettings`.

    Raises:
        ValueError: a setting outside its choices.

    Source: Ren et al., 2015 (Faster R-CNN); Lin et al., 2017 (FPN); Li et al., 2021 (v2).
    """
    return MammoFasterRCNN(FasterRCNNSettings(backbone, num_classes=num_classes, version=version, **options))


class MammoFasterRCNN(Network):
    """torchvision's Faster R-CNN on grey images: boxes always in float32, strides never guessed.

    The whole network runs in one `forward`, losses included, so that `DistributedDataParallel` sees it.
    Parameters are named as in torchvision's model, with `feature_extractor` for its `backbone`.
    """

    architecture = "faster_rcnn"

    def __init__(self, settings: FasterRCNNSettings) -> None:
        super().__init__()
        self.settings = settings
        channels, is_v2 = settings.fpn_channels, settings.version == "v2"
        self.feature_extractor = ResNetPyramidP2(
            settings.backbone,
            has_norm=is_v2,
            stride_in_1x1=settings.stride_in_1x1,
            in_channels=settings.in_channels,
            fpn_channels=channels,
            input_normalisation=settings.input_normalisation,
        )
        head = ProposalHead(channels, settings.num_anchors, conv_depth=2 if is_v2 else 1)
        self.rpn = nn.ModuleDict({"head": head})
        self.pool = PyramidRoIAlign(
            is_aligned=settings.roi_aligned, sampling_ratio=settings.roi_sampling_ratio
        )
        predictor = BoxPredictor(settings.representation_size, settings.num_classes + 1)
        self.roi_heads = nn.ModuleDict(
            {
                "box_head": box_head(settings.version, channels, settings.representation_size),
                "box_predictor": predictor,
            }
        )
        for norm in batch_norms(self):
            norm.eps = settings.bn_eps

    def forward(
        self,
        images: Tensor,
        image_sizes: list[tuple[int, int]] | None = None,
        targets: list[dict[str, Tensor]] | None = None,
        rule: FasterRCNNDetectorSettings = _DEFAULT_RULE,
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses in training mode, detections in evaluation mode; as `contract.Detector` has both.

        Args:
            images: (B, in_channels, H, W) in [0, 1], H and W multiples of 32.
            image_sizes: (height, width) of each image inside its padding; None: nothing is padding.
            targets: in training, per image `box` (N, 4) in axis order (row, col, row, col) and `label` (N,).
            rule: anchors, sampling and selection.

        Returns:
            Losses `objectness` and `rpn_box_reg` of the first stage, `classification` (cross-entropy) and
            `box_regression` of the second, each a mean over the batch's samples of its stage. A batch of
            normal images has box losses of 0, with gradients of 0.
        """
        maps = self.feature_extractor(images, image_sizes)
        height, width = (int(side) for side in images.shape[-2:])
        shown = ImageList(images, image_sizes or [(height, width)] * len(images))
        truth = None if targets is None else [_torchvision_target(each) for each in targets]
        propose = proposal_stage(self.rpn["head"], rule, is_training=self.training)
        regions, first = propose(shown, maps, truth)
        heads = (self.roi_heads["box_head"], self.roi_heads["box_predictor"])
        classify = box_stage(self.pool, *heads, rule, is_training=self.training)
        found, second = classify(maps, regions, shown.image_sizes, truth)
        if not self.training:
            return [_detections(each) for each in found]
        return {
            "objectness": first["loss_objectness"],
            "rpn_box_reg": first["loss_rpn_box_reg"],
            "classification": second["loss_classifier"],
            "box_regression": second["loss_box_reg"],
        }

    @property
    def parts(self) -> NetworkParts:
        """What the parameters are.

        The classifier is the one linear layer of the second stage that gives the class logits: 2 × 1025
        numbers for one class, against RetinaNet's four convolutions. What it sees, the shared `box_head`, and
        the objectness of the first stage belong to the heads.
        """
        body = "feature_extractor.body."
        return NetworkParts(
            stem=tuple(body + part for part in self.feature_extractor.stem_parts),
            top=tuple(body + part for part in self.feature_extractor.top_parts),
            neck=("feature_extractor.fpn.",),
            heads=("rpn.", "roi_heads."),
            classifier=("roi_heads.box_predictor.cls_score.",),
        )


def _torchvision_target(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision counts classes from 1, 0 is its background."""
    return {"boxes": rowcol_to_xyxy(target["box"]), "labels": target["label"] + 1}


def _detections(found: dict[str, Any]) -> dict[str, Tensor]:
    return {
        "box": xyxy_to_rowcol(found["boxes"]),
        "label": found["labels"] - 1,
        "label_scores": found["scores"],
    }
