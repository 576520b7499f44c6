"""The peer of `bench_training_step.py`: MONAI's own detector and training step, and ours beside it.

The stock side is put together as the model zoo's lung nodule detection bundle does it: `RetinaNet` on
`resnet_fpn_feature_extractor`, `RetinaNetDetector` with the ATSS matcher, float32, the loop of its trainer;
in 2-D, with the first stride and the levels of the published ResNet-50 detectors, because MONAI's defaults
(first stride 1, levels from stride 2) would cost it sixteen times the pixels per level. Its losses are ours:
the sum over the batch divided by its positive anchors; its own would not train the classifier (mean over all
anchors), and another loss is another result. Its negative sampler is left out for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet, resnet_fpn_feature_extractor
from monai.apps.detection.utils.anchor_utils import AnchorGenerator
from monai.networks.nets import resnet
from torch import Tensor, nn

from mammo_monai.engines import ModelTrainer
from mammo_monai.engines.optimisation import make_optimizer
from mammo_monai.networks import retinanet_detector, retinanet_network
from mammo_monai.networks.freezing import TrainingSettings
from mammo_monai.networks.losses import SigmoidFocalLoss

Sample = dict[str, Any]
SIZES_PX = (32, 64, 128, 256, 512)
SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
RATIOS = (0.5, 1.0, 2.0)


class StockDetector(RetinaNetDetector):  # type: ignore[misc]  # monai ships no types
    """MONAI's detector; only the division of the losses is ours."""

    def compute_loss(
        self,
        head_outputs_reshape: dict[str, Tensor],
        targets: list[dict[str, Tensor]],
        anchors: list[Tensor],
        num_anchor_locs_per_level: Sequence[int],
    ) -> dict[str, Tensor]:
        matched = self.compute_anchor_matched_idxs(anchors, targets, num_anchor_locs_per_level)
        positives = sum((each >= 0).sum() for each in matched).clamp(min=1)
        classes = self.compute_cls_loss(head_outputs_reshape[self.cls_key], targets, matched)
        boxes = self.compute_box_loss(head_outputs_reshape[self.box_reg_key], targets, anchors, matched)
        return {self.cls_key: classes.sum() / positives, self.box_reg_key: boxes / positives}


class StockSide:
    """The zoo bundle's training: zero_grad, losses of the detector, backward, step; float32."""

    def __init__(self, network: nn.Module, *, learning_rate: float, device: str, matcher: str) -> None:
        anchors = AnchorGenerator(
            tuple(tuple(int(size * scale) for scale in SCALES) for size in SIZES_PX[:4]), (RATIOS,) * 4
        )
        detector = StockDetector(network.to(device), anchors)
        detector.set_target_keys("box", "label")
        if matcher == "atss":
            detector.set_atss_matcher(num_candidates=4, center_in_gt=False)
        else:
            detector.set_regular_matcher(0.5, 0.4, allow_low_quality_matches=True)
        detector.set_cls_loss(SigmoidFocalLoss())
        detector.set_box_regression_loss(nn.L1Loss(reduction="sum"), encode_gt=True, decode_pred=False)
        self.detector, self.device = detector.train(), device
        self.optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def step(self, batch: Sequence[Sample]) -> float:
        """The loss of one step."""
        images = [sample["image"].to(self.device) for sample in batch]
        targets = [{key: sample[key].to(self.device) for key in ("box", "label")} for sample in batch]
        self.optimizer.zero_grad()
        losses = self.detector(images, targets)
        loss = losses["classification"] + losses["box_regression"]
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


class OurSide:
    """A step of our trainer, as a bundle wires it; every part of `ModelTrainer._iteration` is in it."""

    def __init__(
        self, network: nn.Module, *, learning_rate: float, device: str, precision: str, matcher: str
    ) -> None:
        # As `bundle.initialised_network` hands a network to training.
        network = network.to(device).to(memory_format=torch.channels_last)
        detector = retinanet_detector(network, matcher=matcher, anchor_sizes_px=SIZES_PX)  # type: ignore[arg-type]
        settings = TrainingSettings("all", learning_rate, frozen_norm=False)
        self.trainer = ModelTrainer(
            model=detector,
            optimizer=make_optimizer(network, settings),  # type: ignore[arg-type]
            train_data_loader=[],
            device=device,
            max_epochs=1,
            precision=precision,  # type: ignore[arg-type]
            max_gradient_norm=None,
        )

    def step(self, batch: Sequence[Sample]) -> float:
        """The loss of one step."""
        return float(self.trainer._iteration(self.trainer, batch)["loss"])


def paired_networks(seed: int) -> tuple[nn.Module, nn.Module]:
    """MONAI's network and ours with the same weights in body, pyramid and heads.

    Ours has P6 and P7 by convolution where MONAI has one pooled level, sees three grey channels where MONAI
    sees one (the first kernel is summed over them), and no bias in the shortcuts (MONAI's are 0).
    """
    torch.manual_seed(seed)
    ours = retinanet_network("resnet50", head_norm="gn8", input_normalisation="none")
    body = resnet.resnet50(spatial_dims=2, n_input_channels=1, conv1_t_stride=2)
    extractor = resnet_fpn_feature_extractor(body, 2, returned_layers=(2, 3, 4))
    stock = RetinaNet(2, 1, 9, extractor, size_divisible=64)
    stock.load_state_dict(_stock_state(stock.state_dict(), ours.state_dict()))
    return stock, ours


def same_levels(stock: nn.Module, ours: nn.Module, size: int = 256) -> float:
    """Largest difference of the head maps P3 to P5 between the two, evaluating one image in float32."""
    image = torch.rand(1, 1, size, size)
    with torch.inference_mode():
        theirs, own = stock.eval()(image), ours.eval()(image)
    largest = max(
        float((a - b).abs().max())
        for key in ("classification", "box_regression")
        for a, b in zip(theirs[key][:3], own[key][:3], strict=True)
    )
    stock.train(), ours.train()
    return largest


def _stock_state(stock: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    state = {}
    for name, value in stock.items():
        if name.endswith("downsample.0.bias") and name not in ours:
            state[name] = torch.zeros_like(value)
        elif name == "feature_extractor.body.conv1.weight":
            state[name] = ours[name].sum(dim=1, keepdim=True)
        else:
            state[name] = ours.get(name, value)
    return state
