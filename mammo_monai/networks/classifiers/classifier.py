"""The classifier around a network: cross-entropy in training, class probabilities after."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mammo_monai.networks.several_processes import mean_over_processes


def image_classifier(
    network: nn.Module, *, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
) -> ImageClassifier:
    """A classifier (see `contract.Classifier`) around a network that gives logits (B, K); see the class.

    Args:
        network: of `patch_network` or `whole_image_network`.
        class_weights: one per class, of the cross-entropy; None weighs all alike.
        label_smoothing: share of every target spread over all classes, in [0, 1).

    Raises:
        ValueError: a number of weights that is not the network's number of classes, a negative weight, all of
            them zero, or a smoothing outside its range.
    """
    return ImageClassifier(network, class_weights, label_smoothing)


class ImageClassifier(nn.Module):
    """Loss `classification`, the mean cross-entropy of a batch, or `probabilities` per image, in float32.

    Images of a batch have one size. In training targets hold `class_index`, an int64 scalar in [0, K).

    Raises:
        ValueError: `label_smoothing` outside [0, 1).
    """

    def __init__(
        self, network: nn.Module, class_weights: Sequence[float] | None, label_smoothing: float
    ) -> None:
        super().__init__()
        self.network = network
        self.num_classes = int(network.settings.num_classes)  # type: ignore[union-attr, arg-type]  # Network's
        self.class_weights = _checked(class_weights, self.num_classes)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and below 1, got {label_smoothing}.")
        self.label_smoothing = label_smoothing

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses or probabilities, by mode.

        Raises:
            ValueError: images of several sizes or none, training without targets, a class out of range.
        """
        images = _stacked(input_images)
        if not self.training:
            probabilities = self.network(images).float().softmax(dim=1)
            return [{"probabilities": each} for each in probabilities]
        truths = self._truths(targets, len(images))
        logits = self.network(images).float()
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        # Outside autocast: its bfloat16 keeps three digits of a logarithm.
        with torch.autocast(logits.device.type, enabled=False):
            loss = F.cross_entropy(
                logits,
                truths.to(logits.device),
                weights,
                reduction="sum",
                label_smoothing=self.label_smoothing,
            )
            return {"classification": loss / self._weight(truths).to(logits)}

    def _weight(self, truths: Tensor) -> Tensor:
        """What the sum of losses is divided by: the weights of the batch's images, mean over processes.

        Those of one process's part are not those of the batch. Where all weigh nothing the loss is 0.
        """
        weights = torch.ones(self.num_classes) if self.class_weights is None else self.class_weights
        own = weights[truths.cpu()].sum().to(next(self.network.parameters()).device)
        return mean_over_processes(own).clamp(min=torch.finfo(torch.float32).tiny)

    def _truths(self, targets: list[dict[str, Tensor]] | None, count: int) -> Tensor:
        if targets is None or len(targets) != count:
            given = "none" if targets is None else str(len(targets))
            raise ValueError(f"training takes one target per image: {count} images, targets: {given}.")
        truths = torch.stack([target["class_index"].reshape(()) for target in targets]).long()
        if int(truths.min()) < 0 or int(truths.max()) >= self.num_classes:
            raise ValueError(
                f"class_index must be 0 to {self.num_classes - 1}, got {truths.tolist()}. "
                "Build the network with num_classes of the data, background counted."
            )
        return truths


def _stacked(images: list[Tensor]) -> Tensor:
    sizes = sorted({tuple(image.shape) for image in images})
    if len(sizes) != 1:
        found = ", ".join(str(list(size)) for size in sizes) or "no image"
        raise ValueError(
            f"a classifier takes a batch of images of one size (1, H, W), got {found}. "
            "Prepare them with a preset of fixed size such as fixed_portrait, or give them one by one."
        )
    return torch.stack(images)


def _checked(weights: Sequence[float] | None, num_classes: int) -> Tensor | None:
    if weights is None:
        return None
    if len(weights) != num_classes or min(weights) < 0 or max(weights) <= 0:
        raise ValueError(
            f"class_weights must be {num_classes} numbers of at least 0, not all 0; got {list(weights)}."
        )
    return torch.tensor(weights, dtype=torch.float32)
