"""The two stages of Faster R-CNN, torchvision's own: which regions to look at, what to make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork

from mammo_monai.geometry.axes import rowcol_to_xyxy
from mammo_monai.networks.anchors import GridAnchors

if TYPE_CHECKING:
    from mammo_monai.networks.faster_rcnn_parts import PyramidRoIAlign

# Offsets (x, y, width, height) of the second stage are learnt this many times larger; source: Girshick, 2015
# (Fast R-CNN), torchvision and Detectron2.
OFFSET_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


class FasterRCNNDetectorOptions(TypedDict, total=False):
    """Keywords of `faster_rcnn_detector`; meaning and defaults in `FasterRCNNDetectorSettings`."""

    anchor_sizes_px: Sequence[float]
    octave_scales: int
    anchor_ratios: Sequence[float]
    anchors_rounded: bool
    rpn_positive_iou: float
    rpn_negative_iou: float
    rpn_samples: int
    rpn_positive_fraction: float
    rpn_topk_per_level_train: int
    rpn_topk_per_level: int
    rpn_proposals_train: int
    rpn_proposals: int
    rpn_nms_iou: float
    roi_positive_iou: float
    roi_negative_iou: float
    roi_samples: int
    roi_positive_fraction: float
    size_divisible: int
    score_threshold: float
    nms_iou: float
    detections_per_image: int


@dataclass(frozen=True)
class FasterRCNNDetectorSettings:
    """Anchors, matching, sampling and selection of a Faster R-CNN detector; every field a plain JSON value.

    The defaults are torchvision's, but for `size_divisible` (there 32) and `detections_per_image` (100).
    Detectron2 trains on 1000 proposals, and with plain L1 where torchvision has smooth L1 (beta 1/9).

    Attributes:
        anchor_sizes_px: side of the smallest square anchor on P2 … P6, pixels of the network's input.
        octave_scales: anchor sizes per octave.
        anchor_ratios: height / width of anchors.
        anchors_rounded: whole-pixel anchors (torchvision); False for Detectron2's weights.
        rpn_positive_iou, rpn_negative_iou: an anchor is positive from the first, negative below the second;
            the best anchor of every lesion is positive.
        rpn_samples, rpn_positive_fraction: anchors per image that the losses of the first stage see, and
            the largest share of positive ones among them.
        rpn_topk_per_level_train, rpn_topk_per_level: regions per level that enter the suppression.
        rpn_proposals_train, rpn_proposals: regions per image that leave it, for the second stage.
        rpn_nms_iou: a region that overlaps a better one of its level by more goes.
        roi_positive_iou, roi_negative_iou, roi_samples, roi_positive_fraction: the same for the regions and
            losses of the second stage; the lesions' own boxes are among its regions.
        size_divisible: images are padded to multiples of this; 64 gives exact strides on all levels.
        score_threshold: detections need a higher score.
        nms_iou: a detection that overlaps a better one of its class by more goes.
        detections_per_image: at most so many, the best.

    Raises:
        ValueError: a value outside its range.
    """

    anchor_sizes_px: Sequence[float] = (32, 64, 128, 256, 512)
    octave_scales: int = 1
    anchor_ratios: Sequence[float] = (0.5, 1.0, 2.0)
    anchors_rounded: bool = True
    rpn_positive_iou: float = 0.7
    rpn_negative_iou: float = 0.3
    rpn_samples: int = 256
    rpn_positive_fraction: float = 0.5
    rpn_topk_per_level_train: int = 2000
    rpn_topk_per_level: int = 1000
    rpn_proposals_train: int = 2000
    rpn_proposals: int = 1000
    rpn_nms_iou: float = 0.7
    roi_positive_iou: float = 0.5
    roi_negative_iou: float = 0.5
    roi_samples: int = 512
    roi_positive_fraction: float = 0.25
    size_divisible: int = 64
    score_threshold: float = 0.05
    nms_iou: float = 0.5
    detections_per_image: int = 300

    def __post_init__(self) -> None:
        for stage in ("rpn", "roi"):
            negative, positive = (getattr(self, f"{stage}_{side}_iou") for side in ("negative", "positive"))
            if not 0 <= negative <= positive <= 1:
                raise ValueError(
                    f"need 0 <= {stage}_negative_iou <= {stage}_positive_iou <= 1, "
                    f"got {stage}_negative_iou {negative} and {stage}_positive_iou {positive}."
                )
            samples, share = (getattr(self, f"{stage}_{part}") for part in ("samples", "positive_fraction"))
            if samples < 1 or not 0 < share <= 1:
                raise ValueError(
                    f"need {stage}_samples >= 1 and 0 < {stage}_positive_fraction <= 1, "
                    f"got {samples} and {share}."
                )
        if self.size_divisible < 32 or self.size_divisible % 32:
            raise ValueError(f"size_divisible must be a multiple of 32, got {self.size_divisible}.")

    @property
    def anchors_per_location(self) -> int:
        """How many anchors lie at each cell of a map."""
        return self.octave_scales * len(self.anchor_ratios)


def proposal_stage(
    head: nn.Module, settings: FasterRCNNDetectorSettings, *, is_training: bool
) -> RegionProposalNetwork:
    """torchvision's region proposals from a head's maps, over anchors that are at least float32."""
    stage = RegionProposalNetwork(
        _Anchors(settings),
        head,
        fg_iou_thresh=settings.rpn_positive_iou,
        bg_iou_thresh=settings.rpn_negative_iou,
        batch_size_per_image=settings.rpn_samples,
        positive_fraction=settings.rpn_positive_fraction,
        pre_nms_top_n={
            "training": settings.rpn_topk_per_level_train,
            "testing": settings.rpn_topk_per_level,
        },
        post_nms_top_n={"training": settings.rpn_proposals_train, "testing": settings.rpn_proposals},
        nms_thresh=settings.rpn_nms_iou,
    )
    stage.training = is_training  # not .train(): it would reach into the head
    return stage


def box_stage(
    pool: PyramidRoIAlign,
    head: nn.Module,
    predictor: nn.Module,
    settings: FasterRCNNDetectorSettings,
    *,
    is_training: bool,
) -> RoIHeads:
    """torchvision's classification and refinement of regions."""
    stage = RoIHeads(
        pool,
        head,
        predictor,
        fg_iou_thresh=settings.roi_positive_iou,
        bg_iou_thresh=settings.roi_negative_iou,
        batch_size_per_image=settings.roi_samples,
        positive_fraction=settings.roi_positive_fraction,
        bbox_reg_weights=OFFSET_WEIGHTS,
        score_thresh=settings.score_threshold,
        nms_thresh=settings.nms_iou,
        detections_per_img=settings.detections_per_image,
    )
    stage.training = is_training
    return stage


class _Anchors(nn.Module):
    """`GridAnchors` under torchvision's call and in its axis order (x, y)."""

    def __init__(self, settings: FasterRCNNDetectorSettings) -> None:
        super().__init__()
        self.grid = GridAnchors(
            settings.anchor_sizes_px,
            octave_scales=settings.octave_scales,
            ratios=settings.anchor_ratios,
            is_rounded=settings.anchors_rounded,
        )

    def forward(self, images: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Anchors (N, 4) of every image, finest level first."""
        on_image: Tensor = rowcol_to_xyxy(self.grid(images.tensors, feature_maps)[0])
        return [on_image] * len(images.image_sizes)
