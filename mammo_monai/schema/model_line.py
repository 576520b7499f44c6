"""One line that says which model marked, in which version, and what of its marks is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"
NOT_NAMED = "the file does not say which model marked"
_NAMES = ("name", "bundle", "version", "weights_sha256", "software")


def model_line(model: Mapping[str, Any]) -> str:
    """Bundle and version, weights, software and operating point of a `model` of detections.json.

    A sentence that says so where nothing names a model; a foreign model's own `name` stands for the bundle.

    >>> model_line({"bundle": "mass", "version": "1.2.0", "weights_sha256": "ab" * 32, "software": "x 1",
    ...             "operating_point": {"fppi": 0.5, "threshold": 0.3125}})
    'mass 1.2.0, weights abababababab, x 1, marks of score 0.3125 and above (0.5 false positives per image)'
    """
    if not names_model(model):
        return f"{NOT_NAMED}, {shown_text(model)}"
    bundle = " ".join(str(model[each]) for each in ("bundle", "version") if model.get(each))
    weights = str(model.get("weights_sha256") or UNKNOWN)[:12]
    software = model.get("software") or f"software {UNKNOWN}"
    return f"{bundle or model.get('name') or UNKNOWN}, weights {weights}, {software}, {shown_text(model)}"


def names_model(model: Mapping[str, Any]) -> bool:
    """Whether anything in a `model` tells which model it is."""
    return any(model.get(each) for each in _NAMES)


def shown_text(model: Mapping[str, Any]) -> str:
    """What of a model's marks a file holds: those of its operating point, or an explicit none.

    >>> shown_text({"score_threshold": 0.01})
    'no operating point: every mark of score 0.01 and above'
    """
    point = model.get("operating_point")
    if isinstance(point, Mapping) and _is_number(point.get("threshold")):
        aim = f" ({point['fppi']:g} false positives per image)" if _is_number(point.get("fppi")) else ""
        return f"marks of score {point['threshold']:.4g} and above{aim}"
    threshold = model.get("score_threshold")
    if _is_number(threshold):
        return f"no operating point: every mark of score {threshold:g} and above"
    return "no operating point: every mark the model gives"


def _is_number(value: object) -> bool:
    """Anybody may write what describes a model: what is no number is not told."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def model_facts(model: Mapping[str, Any]) -> dict[str, Any]:
    """What other files repeat of a model: bundle, version, weights, software, operating point, and the line.

    >>> model_facts({"bundle": "mass", "epoch": "10"})["operating_point"] is None
    True
    """
    names = ("bundle", "version", "weights_sha256", "software", "score_threshold", "operating_point")
    return {**{name: model.get(name) for name in names}, "told": model_line(model)}
