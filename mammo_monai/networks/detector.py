"""RetinaNet detector: MONAI's, with losses per positive anchor and torchvision's boxes to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.utils.ATSS_matcher import ATSSMatcher
from torch import Tensor, nn
from torchvision.ops import box_iou

from mammo_monai.networks.anchors import GridAnchors
from mammo_monai.networks.batching import checked_targets, padded_batch
from mammo_monai.networks.box_coding import decode_boxes, encode_boxes
from mammo_monai.networks.losses import BOX_LOSSES, BoxLossName, SigmoidFocalLoss, box_loss
from mammo_monai.networks.selection import HeadOutput, SelectionRule, select_boxes
from mammo_monai.networks.several_processes import mean_over_processes, process_count

if TYPE_CHECKING:
    from typing_extensions import Unpack

MatcherName = Literal["iou", "atss"]
IGNORED = -2  # matched index of an anchor between the two IoU limits, as in torchvision and MONAI


class DetectorOptions(TypedDict, total=False):
    """Keywords of `retinanet_detector`; meaning and defaults in `DetectorSettings`."""

    anchor_sizes_px: Sequence[float]
    octave_scales: int
    anchor_ratios: Sequence[float]
    anchors_rounded: bool
    matcher: MatcherName
    positive_iou: float
    negative_iou: float
    focal_alpha: float
    focal_gamma: float
    box_loss: BoxLossName
    size_divisible: int
    score_threshold: float
    topk_per_level: int
    nms_iou: float
    detections_per_image: int


@dataclass(frozen=True)
class DetectorSettings:
    """Anchors, matching, losses and selection of a RetinaNet detector; every field a plain JSON value.

    Attributes:
        anchor_sizes_px: side of the smallest square anchor on P3 … P7, pixels of the network's input.
        octave_scales: anchor sizes per octave.
        anchor_ratios: height / width of anchors.
        anchors_rounded: whole-pixel anchors (torchvision); False for Detectron2's weights.
        matcher: iou (RetinaNet: positive from `positive_iou`, negative below `negative_iou`, the best anchor
            of every lesion is positive) or atss (Zhang et al., 2020, as in MONAI: per level the 36
            nearest anchors, or as many as it has places; their centre need not lie in the lesion).
        focal_alpha: weight of positive anchors, 1 − alpha that of negative ones.
        focal_gamma: exponent that silences easy anchors.
        box_loss: l1 (torchvision v1), smooth_l1 (beta 1/9) or giou (torchvision v2).
        size_divisible: images are padded to multiples of this; 128 gives exact strides on all levels.
        score_threshold, topk_per_level, nms_iou, detections_per_image: as `SelectionRule`.

    Raises:
        ValueError: a value outside its choices.
    """

    anchor_sizes_px: Sequence[float] = (32, 64, 128, 256, 512)
    octave_scales: int = 3
    anchor_ratios: Sequence[float] = (0.5, 1.0, 2.0)
    anchors_rounded: bool = True
    matcher: MatcherName = "iou"
    positive_iou: float = 0.5
    negative_iou: float = 0.4
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    box_loss: BoxLossName = "l1"
    size_divisible: int = 128
    score_threshold: float = 0.05
    topk_per_level: int = 1000
    nms_iou: float = 0.5
    detections_per_image: int = 300

    def __post_init__(self) -> None:
        if self.matcher not in ("iou", "atss"):
            raise ValueError(f"matcher must be iou or atss, got {self.matcher!r}.")
        if self.box_loss not in BOX_LOSSES:
            raise ValueError(f"box_loss must be l1, smooth_l1 or giou, got {self.box_loss!r}.")
        if not 0 <= self.negative_iou <= self.positive_iou <= 1:
            raise ValueError(
                "need 0 <= negative_iou <= positive_iou <= 1, "
                f"got negative_iou {self.negative_iou} and positive_iou {self.positive_iou}."
            )
        if self.size_divisible < 32 or self.size_divisible % 32:
            raise ValueError(f"size_divisible must be a multiple of 32, got {self.size_divisible}.")


def retinanet_detector(network: nn.Module, **settings: Unpack[DetectorOptions]) -> MammoRetinaNetDetector:
    """A detector (see `contract.Detector`) around a network of `retinanet_network`.

    Args:
        network: gives class logits and box offsets per level; holds all parameters.
        settings: fields of `DetectorSettings`.

    Raises:
        ValueError: a setting outside its choices, or anchors per location that differ from the network's.
        TypeError: an unknown setting.
    """
    return MammoRetinaNetDetector(network, DetectorSettings(**settings))


class MammoRetinaNetDetector(RetinaNetDetector):  # type: ignore[misc]  # monai ships no types
    """MONAI's RetinaNet detector with its matching, losses, anchors and post-processing replaced.

    Losses are sums over the batch divided by the batch's positive anchors, at least 1 (Lin et al., 2017).
    Where several processes share a batch it is that of all of them, so their mean loss and mean gradient are
    those of one process with the whole batch.

    torchvision divides image by image and averages, so a lesion with few anchors weighs more there; on one
    image both agree. A batch of normal images has a box loss of 0 with a gradient of 0.
    """

    def __init__(self, network: nn.Module, settings: DetectorSettings) -> None:
        generator = GridAnchors(
            settings.anchor_sizes_px,
            octave_scales=settings.octave_scales,
            ratios=settings.anchor_ratios,
            is_rounded=settings.anchors_rounded,
        )
        super().__init__(network, generator, box_overlap_metric=box_iou)
        self.settings = settings
        self.anchors: list[Tensor] = []
        self.previous_image_shape: tuple[torch.Size, bool, torch.device] | None = None
        self.size_divisible = (settings.size_divisible,) * 2
        self.set_target_keys("box", "label")
        self.set_cls_loss(SigmoidFocalLoss(settings.focal_alpha, settings.focal_gamma))
        self.set_box_regression_loss(
            box_loss(settings.box_loss),
            encode_gt=settings.box_loss != "giou",
            decode_pred=settings.box_loss == "giou",
        )
        if settings.matcher == "atss":
            self.set_atss_matcher(num_candidates=4, center_in_gt=False)
        else:
            self.set_regular_matcher(
                settings.positive_iou, settings.negative_iou, allow_low_quality_matches=True
            )

    def forward(
        self,
        input_images: list[Tensor] | Tensor,
        targets: list[dict[str, Tensor]] | None = None,
        use_inferer: bool = False,
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses in training mode, detections in evaluation mode; see `contract.Detector`.

        Args:
            input_images: (1, H, W) each, sizes may differ, or one (B, 1, H, W) tensor; [0, 1].
            targets: needed in training mode only.
            use_inferer: run the network by MONAI's `SlidingWindowInferer` (`set_sliding_window_inferer`).

        Raises:
            ValueError: no targets in training, or targets that do not fit the images (which one is named).
        """
        if use_inferer and not self.training:
            predictions: list[dict[str, Tensor]] = super().forward(input_images, use_inferer=True)
            return predictions
        images = list(input_images)
        checked = checked_targets(images, targets, self.num_classes) if self.training else []
        batch, sizes = padded_batch(images, self.size_divisible[0], is_shared=self.training)
        is_padded = any(size != tuple(batch.shape[-2:]) for size in sizes)
        head_outputs = self.network(batch, sizes if is_padded else None)
        self.generate_anchors(batch, head_outputs)
        locations = [level.shape[2:].numel() for level in head_outputs[self.cls_key]]
        head_outputs = {key: self._reshape_maps(maps) for key, maps in head_outputs.items()}
        if self.training:
            return self.compute_loss(head_outputs, checked, self.anchors, locations)
        return self.postprocess_detections(head_outputs, self.anchors, sizes, locations)

    def generate_anchors(self, images: Tensor, head_outputs: dict[str, list[Tensor]]) -> None:
        """Sets `self.anchors`, anew when the batch's shape, its dtype class or its device has changed."""
        maps = head_outputs[self.cls_key]
        key = (images.shape, maps[0].dtype == torch.float64, maps[0].device)
        if self.previous_image_shape != key:
            self.anchors = self.anchor_generator(images, maps)
            self.previous_image_shape = key

    def _reshape_maps(self, result_maps: list[Tensor]) -> Tensor:
        """Maps (B, A·C, H, W) of all levels as one (B, N, C), anchors in the generator's order."""
        levels = []
        for level in result_maps:
            n_images, channels = level.shape[:2]
            n_values = channels // self.num_anchors_per_loc
            split = level.reshape(n_images, self.num_anchors_per_loc, n_values, *level.shape[2:])
            levels.append(split.permute(0, 3, 4, 1, 2).reshape(n_images, -1, n_values))
        return torch.cat(levels, dim=1)

    def postprocess_detections(
        self,
        head_outputs_reshape: dict[str, Tensor],
        anchors: list[Tensor],
        image_sizes: Sequence[Sequence[int]],
        num_anchor_locs_per_level: Sequence[int],
        need_sigmoid: bool = True,
    ) -> list[dict[str, Tensor]]:
        """Detections of every image; `need_sigmoid` is MONAI's and always true here."""
        settings = self.settings
        rule = SelectionRule(
            settings.score_threshold, settings.topk_per_level, settings.nms_iou, settings.detections_per_image
        )
        output = HeadOutput(
            head_outputs_reshape[self.cls_key],
            head_outputs_reshape[self.box_reg_key],
            anchors[0],
            [n * self.num_anchors_per_loc for n in num_anchor_locs_per_level],
        )
        sizes = [(int(size[0]), int(size[1])) for size in image_sizes]
        return [
            {
                self.target_box_key: found.boxes,
                self.target_label_key: found.labels,
                self.pred_score_key: found.scores,
            }
            for found in select_boxes(output, sizes, rule)
        ]

    def compute_loss(
        self,
        head_outputs_reshape: dict[str, Tensor],
        targets: list[dict[str, Tensor]],
        anchors: list[Tensor],
        num_anchor_locs_per_level: Sequence[int],
    ) -> dict[str, Tensor]:
        """Classification and box loss, each divided by the positive anchors of the whole batch.

        Under several processes by their mean number per process: see `mean_over_processes`.
        """
        matched = self.compute_anchor_matched_idxs(anchors, targets, num_anchor_locs_per_level)
        own = torch.stack([(m >= 0).sum() for m in matched]).sum()
        n_positive = mean_over_processes(own).clamp(min=1 / process_count())
        logits, offsets = head_outputs_reshape[self.cls_key], head_outputs_reshape[self.box_reg_key]
        return {
            self.cls_key: self.compute_cls_loss(logits, targets, matched) / n_positive,
            self.box_reg_key: self.compute_box_loss(offsets, targets, anchors, matched) / n_positive,
        }

    def compute_anchor_matched_idxs(
        self,
        anchors: list[Tensor],
        targets: list[dict[str, Tensor]],
        num_anchor_locs_per_level: Sequence[int],
    ) -> list[Tensor]:
        """Per image, the lesion of every anchor: its index, −1 background, −2 ignored; shape (N,)."""
        matched = []
        for on_image, target in zip(anchors, targets, strict=True):
            boxes = target[self.target_box_key]
            if len(boxes) == 0:
                matched.append(torch.full((len(on_image),), -1, dtype=torch.int64, device=on_image.device))
            elif isinstance(self.proposal_matcher, ATSSMatcher):
                args = (boxes, on_image, num_anchor_locs_per_level, self.num_anchors_per_loc)
                matched.append(self.proposal_matcher(*args)[1])
            else:
                matched.append(self.proposal_matcher(box_iou(boxes, on_image)))
        return matched

    def compute_cls_loss(
        self, cls_logits: Tensor, targets: list[dict[str, Tensor]], matched_idxs: list[Tensor]
    ) -> Tensor:
        """Focal loss summed over all anchors of the batch that are not ignored."""
        truth = torch.zeros_like(cls_logits)
        for index, (target, matched) in enumerate(zip(targets, matched_idxs, strict=True)):
            positive = (matched >= 0).nonzero().squeeze(1)
            truth[index, positive, target[self.target_label_key][matched[positive]]] = 1.0
        counted = (torch.stack(matched_idxs) != IGNORED).unsqueeze(2)
        total: Tensor = (self.cls_loss_func(cls_logits, truth) * counted).sum()
        return total

    def compute_box_loss(
        self,
        box_regression: Tensor,
        targets: list[dict[str, Tensor]],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> Tensor:
        """Box loss summed over the positive anchors of the batch; 0 with a gradient where there are none."""
        positive = [(matched >= 0).nonzero().squeeze(1) for matched in matched_idxs]
        offsets = torch.cat([box_regression[i][on_image] for i, on_image in enumerate(positive)])
        reference = torch.cat([a[on_image] for a, on_image in zip(anchors, positive, strict=True)])
        boxes = torch.cat(
            [
                target[self.target_box_key][matched[on_image]]
                for target, matched, on_image in zip(targets, matched_idxs, positive, strict=True)
            ]
        )
        predicted = decode_boxes(offsets, reference) if self.decode_pred else offsets
        wanted = encode_boxes(boxes, reference) if self.encode_gt else boxes
        loss: Tensor = self.box_loss_func(predicted, wanted)
        return loss
