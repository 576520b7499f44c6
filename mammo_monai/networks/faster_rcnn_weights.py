"""Published weights of Faster R-CNN: which file goes with a network."""

from __future__ import annotations

from typing import Any

from torchvision.models import get_model_weights
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_V2_Weights, FasterRCNN_ResNet50_FPN_Weights

from mammo_monai.errors import WeightsError
from mammo_monai.networks.faster_rcnn import MammoFasterRCNN
from mammo_monai.networks.faster_rcnn_layouts import convert_faster_rcnn, with_faster_rcnn_classes
from mammo_monai.networks.layouts import ConvertedWeights
from mammo_monai.networks.published_weights import published_state

_COCO = {
    "v1": FasterRCNN_ResNet50_FPN_Weights.COCO_V1,
    "v2": FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1,
}


def faster_rcnn_start(network: MammoFasterRCNN, init: str) -> ConvertedWeights:
    """The weights a Faster R-CNN starts from with `init` coco or imagenet; see `weights.initialise`.

    coco: torchvision's published model of the network's version, both last layers drawn anew unless it has as
    many classes. imagenet: torchvision's published ResNet in the body.

    Raises:
        WeightsError: none are published for this network, or they cannot be had.
    """
    settings = network.settings
    if init == "coco":
        published = convert_faster_rcnn(published_state(_coco_weights(settings.backbone, settings.version)))
        return with_faster_rcnn_classes(published, settings.num_classes)
    return convert_faster_rcnn(published_state(get_model_weights(settings.backbone)["IMAGENET1K_V1"]))


def _coco_weights(backbone: str, version: str) -> Any:
    if backbone != "resnet50":
        raise WeightsError(
            f"init coco: COCO weights are published for resnet50 only, the network has {backbone}. Set "
            "backbone resnet50, or choose init imagenet, none, or the path of a weights file such as one "
            "of Detectron2 (R101-FPN)."
        )
    return _COCO[version]
