"""Faster R-CNN detector: images of any size in, torchvision's losses and boxes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from mammo_monai.networks.batching import checked_targets, padded_batch
from mammo_monai.networks.faster_rcnn import MammoFasterRCNN
from mammo_monai.networks.faster_rcnn_stages import FasterRCNNDetectorOptions, FasterRCNNDetectorSettings

if TYPE_CHECKING:
    from typing_extensions import Unpack


def faster_rcnn_detector(
    network: nn.Module, **settings: Unpack[FasterRCNNDetectorOptions]
) -> MammoFasterRCNNDetector:
    """A detector (see `contract.Detector`) around a network of `faster_rcnn_network`.

    Args:
        network: runs both stages; holds all parameters.
        settings: fields of `FasterRCNNDetectorSettings`.

    Raises:
        ValueError: a setting outside its choices, or anchors per location that differ from the network's.
        TypeError: an unknown setting, or another network.
    """
    return MammoFasterRCNNDetector(network, FasterRCNNDetectorSettings(**settings))


class MammoFasterRCNNDetector(nn.Module):
    """Pads, checks targets, and leaves the rest to its network, which engines may wrap.

    Raises:
        TypeError: the network is none of `faster_rcnn_network`. ValueError: it has another number of anchors.
    """

    def __init__(self, network: nn.Module, settings: FasterRCNNDetectorSettings) -> None:
        super().__init__()
        if not isinstance(network, MammoFasterRCNN):
            raise TypeError(
                "faster_rcnn_detector takes a network made by networks.faster_rcnn_network, "
                f"got {type(network).__name__}."
            )
        if settings.anchors_per_location != network.settings.num_anchors:
            raise ValueError(
                f"octave_scales {settings.octave_scales} × {len(settings.anchor_ratios)} anchor_ratios make "
                f"{settings.anchors_per_location} anchors per location, the network has "
                f"{network.settings.num_anchors}. Set its num_anchors."
            )
        self.network: nn.Module = network
        self.num_classes = network.settings.num_classes
        self.settings = settings

    def forward(
        self, input_images: list[Tensor] | Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses in training mode, detections in evaluation mode; see `contract.Detector`.

        Args:
            input_images: (1, H, W) each, sizes may differ, or one (B, 1, H, W) tensor; [0, 1].
            targets: needed in training mode only.

        Returns:
            Losses as `MammoFasterRCNN.forward` names them, or one dict per image.

        Raises:
            ValueError: no targets in training, or targets that do not fit the images (which one is named).
        """
        images = list(input_images)
        checked = checked_targets(images, targets, self.num_classes) if self.training else None
        batch, sizes = padded_batch(images, self.settings.size_divisible)
        is_padded = any(size != tuple(batch.shape[-2:]) for size in sizes)
        answer = self.network(batch, sizes if is_padded else None, checked, self.settings)
        return cast("dict[str, Tensor] | list[dict[str, Tensor]]", answer)
