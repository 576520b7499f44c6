"""Whose weights each architecture takes: other libraries' files under its names, and what is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mammo_monai.networks.architectures import (
    FASTER_RCNN,
    PATCH_CLASSIFIER,
    RETINANET,
    WHOLE_IMAGE_CLASSIFIER,
)
from mammo_monai.networks.classifiers import sources
from mammo_monai.networks.contract import Network
from mammo_monai.networks.faster_rcnn_layouts import convert_faster_rcnn, with_faster_rcnn_classes
from mammo_monai.networks.faster_rcnn_weights import faster_rcnn_start
from mammo_monai.networks.layouts import ConvertedWeights, convert_state_dict, with_classes
from mammo_monai.networks.published_weights import retinanet_start


@dataclass(frozen=True)
class WeightSource:
    """How an architecture comes by weights.

    Attributes:
        convert: tensors of any layout it knows under its own names; raises WeightsError.
        start: weights for `init` coco or imagenet, of a network; raises WeightsError where there are none.
        with_classes: the weights with a classifier of that many classes, drawn anew where it had others.
        fitted: weights of another library or stage, filled up or cut to fit a network; None: classes only.
        inherited: facts that the settings of another architecture of this package tell of its weights.
        needed: settings that a converted file must tell; all others have defaults.
    """

    convert: Callable[[Mapping[str, object]], ConvertedWeights]
    start: Callable[[Any, str], ConvertedWeights]
    with_classes: Callable[[ConvertedWeights, int], ConvertedWeights]
    fitted: Callable[[ConvertedWeights, Any], ConvertedWeights] | None = None
    inherited: Callable[[object], Mapping[str, object]] | None = None
    needed: frozenset[str] = frozenset({"stride_in_1x1", "bn_eps"})

    def fit(self, weights: ConvertedWeights, network: Network) -> ConvertedWeights:
        """The weights as the network takes them."""
        if self.fitted is not None:
            return self.fitted(weights, network)
        return self.with_classes(weights, network.settings.num_classes)


WEIGHT_SOURCES: Mapping[str, WeightSource] = {
    RETINANET: WeightSource(convert_state_dict, retinanet_start, with_classes),
    FASTER_RCNN: WeightSource(convert_faster_rcnn, faster_rcnn_start, with_faster_rcnn_classes),
    PATCH_CLASSIFIER: WeightSource(
        sources.convert_patch_classifier,
        sources.classifier_start,
        sources.with_classes,
        fitted=sources.fitted_patch_classifier,
        needed=sources.NEEDED,
    ),
    WHOLE_IMAGE_CLASSIFIER: WeightSource(
        sources.convert_whole_image_classifier,
        sources.classifier_start,
        sources.with_classes,
        fitted=sources.fitted_whole_image_classifier,
        inherited=sources.inherited_settings,
        needed=sources.NEEDED,
    ),
}
