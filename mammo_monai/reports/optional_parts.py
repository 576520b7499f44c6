"""Whether the optional parts of a metrics.json hold what reports read of them: other tools write them too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind = Literal["a number", "a number, not null", "a text"]
NUMBER: Kind = "a number"
GIVEN: Kind = "a number, not null"
TEXT: Kind = "a text"
Shape: TypeAlias = "Kind | Sequence[Shape] | Fields"


@dataclass(frozen=True)
class Fields:
    """An object: fields it must have, fields it may have, and lists in it that go together.

    Attributes:
        alike: names of lists that must be of one length; a missing one is of none.
    """

    needed: Mapping[str, Shape] = field(default_factory=dict)
    free: Mapping[str, Shape] = field(default_factory=dict)
    alike: tuple[str, ...] = ()


_BOUNDS: dict[str, Shape] = {"low": NUMBER, "high": NUMBER, "interval": TEXT}
_FREE_POINT: dict[str, Shape] = {**_BOUNDS, "score": NUMBER}
_POINT = Fields({"fppi": GIVEN, "sensitivity": NUMBER}, _FREE_POINT)
_RATE = Fields(dict.fromkeys(("fppi", "false_positives_per_image", "low", "high"), GIVEN))
_BAND = Fields({"band": TEXT, "n_lesions": NUMBER, "points": [_POINT]})
_RATIOS = ("precision", "recall", "f1", "accuracy", "sensitivity", "specificity")
_COUNTS = ("true_positives", "false_positives", "false_negatives")
_AT_SCORE = Fields(
    {"fppi": GIVEN},
    {
        **dict.fromkeys(("score", *_COUNTS, *_RATIOS), NUMBER),
        "intervals": Fields(free=dict.fromkeys(_RATIOS, Fields(free=_BOUNDS))),
    },
)
_FIGURES: dict[str, Shape] = {
    **dict.fromkeys(_RATIOS, NUMBER),
    "intervals": Fields(free=dict.fromkeys(_RATIOS, Fields(free=_BOUNDS))),
}
_CURVE = Fields(
    free={
        **{name: [NUMBER] for name in ("score", "false_positives_per_image", "low", "high")},
        "interval": [TEXT],
    },
    alike=("score", "false_positives_per_image"),
)
PARTS: Mapping[str, Shape] = {
    **dict.fromkeys(("n_normal_images", "n_patients", "n_detections"), NUMBER),
    "model": Fields(),
    "inputs": Fields(),
    "mean_sensitivity": Fields(free={"fppi": [NUMBER], "value": NUMBER}),
    "size_bands": [_BAND],
    "area_bands": [_BAND],
    "subgroups": [
        Fields(
            {
                **dict.fromkeys(("by", "group"), TEXT),
                "n_lesions": GIVEN,
                "n_images": GIVEN,
                "points": [_POINT],
            },
            {"false_positives": [_RATE]},
        )
    ],
    "levels": [Fields({"level": TEXT, "n": NUMBER, "points": [_POINT]})],
    "overlap": Fields(
        {"fppi": [NUMBER], "min_iou": [NUMBER], "sensitivity": [[NUMBER]]},
        {"low": [[NUMBER]], "high": [[NUMBER]]},
        alike=("fppi", "sensitivity"),
    ),
    "average_precision": Fields(
        free={
            **dict.fromkeys(("min_iou", "value"), NUMBER),
            "coco": Fields(
                free={"ap": NUMBER, "ap50": NUMBER, "ap75": NUMBER, "min_iou": [NUMBER], "values": [NUMBER]},
                alike=("min_iou", "values"),
            ),
        }
    ),
    "precision_recall": Fields(free={"points": [_AT_SCORE], "best_f1": _AT_SCORE}),
    "normal_images": Fields(
        free={
            "n_images": NUMBER,
            **_CURVE.free,
            "points": [Fields({"fppi": GIVEN, "false_positives_per_image": NUMBER}, _FREE_POINT)],
            "curve": _CURVE,
        },
        alike=_CURVE.alike,
    ),
    "roc": [
        Fields(
            {"level": TEXT, "n_positive": NUMBER, "n_negative": NUMBER, "auc": GIVEN},
            {
                **_BOUNDS,
                "fpr": [NUMBER],
                "tpr": [NUMBER],
                "sensitivity_at_specificity": [
                    Fields({"specificity": GIVEN, "sensitivity": NUMBER}, _FREE_POINT)
                ],
            },
            alike=("fpr", "tpr"),
        )
    ],
    "jafroc": Fields(
        free={**dict.fromkeys(("figure_of_merit", "n_lesions", "n_normal_images"), NUMBER), **_BOUNDS}
        | {"variant": TEXT}
    ),
    "reliability": Fields(
        free={
            "bins": [Fields(dict.fromkeys(("low", "high", "n", "mean_score", "hit_rate"), NUMBER))],
            **dict.fromkeys(("expected_calibration_error", "brier"), NUMBER),
        }
    ),
    "units": Fields(
        free={
            **dict.fromkeys(("score", "positive"), TEXT),
            **dict.fromkeys(("n_images", "n_left_out"), NUMBER),
            "figures": [
                Fields(
                    {"level": TEXT, **dict.fromkeys(("n_positive", "n_negative", "threshold"), NUMBER)},
                    {**_FIGURES, "youden": Fields({"threshold": NUMBER}, _FIGURES)},
                )
            ],
        }
    ),
}


def part_faults(metrics: Mapping[str, Any]) -> list[str]:
    """Where an optional part is not as reports read it, each with what was expected; no part is needed.

    >>> part_faults({"size_bands": [{"band": "<2cm", "n_lesions": 3}], "jafroc": None})
    ['size_bands[0].points (a list)']
    """
    return [fault for name, shape in PARTS.items() for fault in _faults(metrics.get(name), shape, name, True)]


def _faults(value: object, shape: Shape, where: str, may_lack: bool) -> Iterator[str]:
    if value is None and may_lack:
        return
    if isinstance(shape, str):
        if not _is_of(value, shape):
            yield f"{where} ({shape})"
    elif isinstance(shape, Fields):
        if isinstance(value, Mapping):
            yield from _object_faults(value, shape, where)
        else:
            yield f"{where} (an object)"
    elif isinstance(value, list):
        for n, each in enumerate(value):
            # What is undefined is null in a list of numbers or words, never an object.
            yield from _faults(each, shape[0], f"{where}[{n}]", may_lack=isinstance(shape[0], str))
    else:
        yield f"{where} (a list)"


def _object_faults(value: Mapping[str, Any], shape: Fields, where: str) -> Iterator[str]:
    for name, each in shape.needed.items():
        is_undefined = name in value and value[name] is None and each == NUMBER
        if not is_undefined:
            yield from _faults(value.get(name), each, f"{where}.{name}", may_lack=False)
    for name, each in shape.free.items():
        yield from _faults(value.get(name), each, f"{where}.{name}", may_lack=True)
    if (value.get("low") is None) != (value.get("high") is None):
        yield f"{where}.low and {where}.high (both or none)"
    lists = [value.get(name) or () for name in shape.alike]
    if all(isinstance(each, (list, tuple)) for each in lists) and len({len(each) for each in lists}) > 1:
        yield " and ".join(f"{where}.{name}" for name in shape.alike) + " (lists of equal length)"


def _is_of(value: object, kind: str) -> bool:
    if kind == TEXT:
        return isinstance(value, str)
    return isinstance(value, (int, float)) and not isinstance(value, bool)
