"""Whose weights each architecture takes: other libraries' files under its names, and what is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mammo_monai.networks.architectures import RETINANET
from mammo_monai.networks.layouts import ConvertedWeights, convert_state_dict, with_classes
from mammo_monai.networks.published_weights import retinanet_start


@dataclass(frozen=True)
class WeightSource:
    """How an architecture comes by weights.

    Attributes:
        convert: tensors of any layout it knows under its own names; raises WeightsError.
        start: weights for `init` coco or imagenet, of a network; raises WeightsError where there are none.
        with_classes: the weights with a classifier of that many classes, drawn anew where it had others.
    """

    convert: Callable[[Mapping[str, object]], ConvertedWeights]
    start: Callable[[Any, str], ConvertedWeights]
    with_classes: Callable[[ConvertedWeights, int], ConvertedWeights]


WEIGHT_SOURCES: Mapping[str, WeightSource] = {
    RETINANET: WeightSource(convert_state_dict, retinanet_start, with_classes),
}
