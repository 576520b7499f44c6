"""The network architectures by name, and their settings as the JSON that stands in weights files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mammo_monai.networks.classifiers import PatchSettings, WholeImageSettings
from mammo_monai.networks.faster_rcnn import FasterRCNNSettings
from mammo_monai.networks.retinanet import NetworkSettings
from mammo_monai.schema.json_text import json_value

RETINANET = "retinanet"
FASTER_RCNN = "faster_rcnn"
PATCH_CLASSIFIER = "patch_classifier"
WHOLE_IMAGE_CLASSIFIER = "whole_image_classifier"
# The dataclass of `Network.settings`, by `Network.architecture`.
SETTINGS: Mapping[str, type[Any]] = {
    RETINANET: NetworkSettings,
    FASTER_RCNN: FasterRCNNSettings,
    PATCH_CLASSIFIER: PatchSettings,
    WHOLE_IMAGE_CLASSIFIER: WholeImageSettings,
}


def settings_text(settings: Any) -> str:
    """Settings as JSON, with the architecture's name unless it is RetinaNet, whose files came first."""
    name = architecture_name(settings)
    named = {} if name == RETINANET else {"architecture": name}
    return json.dumps({**named, **asdict(settings)}, sort_keys=True)


def settings_from(text: str) -> Any:
    """The settings that `settings_text` wrote.

    Raises:
        ValueError, TypeError: not JSON, an unknown architecture, or fields it does not have.
    """
    values = json_value(text)
    name = values.pop("architecture", RETINANET)
    if name not in SETTINGS:
        raise ValueError(f"unknown architecture {name!r}")
    return SETTINGS[name](**values)


def architecture_name(settings: Any) -> str:
    """The word under which `SETTINGS` knows the dataclass of these settings."""
    return next(name for name, kind in SETTINGS.items() if isinstance(settings, kind))
