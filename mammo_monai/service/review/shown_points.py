"""Where the score slider starts: the operating point of the detections, else those of the model's bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import MammoError
from mammo_monai.schema import read_operating_points
from mammo_monai.schema.fields import Json

USUAL_FPPI = 1.0


@dataclass(frozen=True)
class ShownPoint:
    """A score threshold; `fppi`, false positives per image it was chosen for, is None where nobody says."""

    threshold: float
    fppi: float | None = None


def shown_points(model: Json) -> tuple[ShownPoint, ...]:
    """The operating points for detections of this model, fewest false positives first; () if none is known.

    Detections that were cut at a point have this one. Else the bundle's are taken, if its file is for the
    weights that made the detections and for the same inference.
    """
    point = model.get("operating_point")
    if isinstance(point, Mapping) and (threshold := _number(point.get("threshold"))) is not None:
        return (ShownPoint(threshold, _number(point.get("fppi"))),)
    name = model.get("bundle")
    return _of_bundle(name, model) if isinstance(name, str) and name else ()


def first_threshold(points: tuple[ShownPoint, ...]) -> float | None:
    """The threshold of the point next to one false positive per image; None without points.

    >>> first_threshold((ShownPoint(0.4, 0.25), ShownPoint(0.2, 1.0), ShownPoint(0.1, 2.0)))
    0.2
    """
    if not points:
        return None
    return min(points, key=lambda each: abs((each.fppi or USUAL_FPPI) - USUAL_FPPI)).threshold


def _of_bundle(name: str, model: Json) -> tuple[ShownPoint, ...]:
    from mammo_monai.bundle import find_bundle  # noqa: PLC0415  # brings torch: only where a bundle is named
    from mammo_monai.inference.operating_point import (  # noqa: PLC0415
        OPERATING_POINTS,
        differing_settings,
    )

    if len(Path(name).parts) != 1:  # a file from elsewhere names no folder of this machine
        return ()
    try:
        file = read_operating_points(find_bundle(name) / OPERATING_POINTS)
    except MammoError:
        return ()
    weights, inference = model.get("weights_sha256"), model.get("inference")
    settings = inference if isinstance(inference, Mapping) else {}
    if not file.holds_for(weights if isinstance(weights, str) else None) or differing_settings(
        file, settings
    ):
        return ()
    return tuple(ShownPoint(each.threshold, each.fppi) for each in sorted(file.points, key=lambda p: p.fppi))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
