"""A bundle marks images on request, with the weights and the operating point the request asks for."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mammo_monai.apps.uncertainty import image_uncertainty
from mammo_monai.apps.weight_versions import SHIPPED, WeightVersions
from mammo_monai.bundle import Marker, find_bundle, load_marker
from mammo_monai.errors import BundleError
from mammo_monai.inference.operating_point import OPERATING_POINTS
from mammo_monai.records import Detections
from mammo_monai.schema import OperatingPoint, read_operating_points

logger = logging.getLogger(__name__)

EVERYTHING = "all"
DEFAULT_FPPI = 1.0
# Without an operating point nothing says what is shown; half is where a score turns from no to yes.
_HALF = 0.5
_KEPT_MARKERS = 3


@dataclass(frozen=True)
class MarkRequest:
    """What a client asks for.

    Attributes:
        weights: `shipped`, `latest` or a version.
        fppi: an operating point of the bundle; None: the default one, as far as the weights have any.
        min_score: show marks of at least this score; not together with `fppi`.
        is_everything: show all that the bundle's own score threshold leaves.
        device: as torch names it; a GPU that is not there becomes the CPU. None: the bundle's choice.
    """

    weights: str = SHIPPED
    fppi: float | None = None
    min_score: float | None = None
    is_everything: bool = False
    device: str | None = None


@dataclass(frozen=True, eq=False)
class MarkedImage:
    """What was marked on an image.

    Attributes:
        shown: the marks to show. model: as detections.json has it; with `min_score` where that was applied.
        uncertainty: of the image, from all its marks, see `image_uncertainty`.
    """

    shown: Detections
    model: Mapping[str, object]
    uncertainty: float


def mark_request(given: Mapping[str, Any], *, weights: str = SHIPPED, fppi: str = "") -> MarkRequest:
    """A request from the loosely typed values of a client: text, numbers, or lists whose first value counts.

    Args:
        given: `weights`, `fppi` (a number, or `all`), `min_score`, `device`; others are not looked at.
        weights, fppi: of the server, where the client says nothing.

    Raises:
        ValueError: a number that is none, or both `fppi` and `min_score`.

    >>> mark_request({"fppi": "0.5", "weights": ["latest", "shipped"]}).fppi
    0.5
    """
    chosen = {name: first_text(given.get(name)) for name in ("weights", "fppi", "min_score", "device")}
    if chosen["fppi"] and chosen["min_score"]:
        raise ValueError("fppi and min_score both say what is shown: give one of them.")
    if not chosen["min_score"]:
        chosen["fppi"] = chosen["fppi"] or fppi
    is_everything = chosen["fppi"] == EVERYTHING
    return MarkRequest(
        chosen["weights"] or weights,
        None if is_everything else _number("fppi", chosen["fppi"]),
        _number("min_score", chosen["min_score"]),
        is_everything,
        usable_device(chosen["device"]),
    )


class BundleMarks:
    """Marks images with one bundle; keeps the models it loaded; one image at a time.

    Args:
        bundle: a folder or name, see `find_bundle`.
        versions: of weights that were trained on site.
    """

    def __init__(self, bundle: str | Path, versions: WeightVersions) -> None:
        self.root = find_bundle(bundle)
        self.versions = versions
        self._markers: OrderedDict[tuple[object, ...], Marker] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, image: Path, request: MarkRequest) -> MarkedImage:
        """The marks of an image file.

        Raises:
            MammoError: the image cannot be read, there are no such weights, or the operating point is for
                others.
        """
        weights = self.versions.path(request.weights)
        default = self.default_point()
        with self._lock:
            marker = self._marker(weights, self._fppi(request, weights), request.device)
            found = replace(marker, operating_point=None)(image)
        threshold = _HALF if default is None else default.threshold
        shown, model = found, dict(marker.model)
        if marker.operating_point is not None:
            threshold = marker.operating_point.point.threshold
            shown = marker.operating_point(found)
        elif not request.is_everything and (request.min_score is not None or default is not None):
            threshold = threshold if request.min_score is None else request.min_score
            shown = _above(found, threshold)
            model["min_score"] = threshold
        return MarkedImage(shown, model, image_uncertainty(found.scores, min(max(threshold, 1e-6), 1 - 1e-6)))

    def points(self) -> tuple[OperatingPoint, ...]:
        """The operating points of the bundle's own weights; empty where it has none."""
        path = self.root / OPERATING_POINTS
        return read_operating_points(path).points if path.is_file() else ()

    def default_point(self) -> OperatingPoint | None:
        """The operating point nearest to one false positive per image; None where there is none."""
        return min(self.points(), key=lambda each: abs(each.fppi - DEFAULT_FPPI), default=None)

    def _fppi(self, request: MarkRequest, weights: Path | None) -> float | None:
        """The operating point to apply. The default one is for the bundle's own weights alone."""
        if request.fppi is not None or request.min_score is not None or request.is_everything:
            return request.fppi
        default = self.default_point()
        return default.fppi if default is not None and weights is None else None

    def _marker(self, weights: Path | None, fppi: float | None, device: str | None) -> Marker:
        changed = None if weights is None else weights.stat().st_mtime_ns
        key = (weights, changed, fppi, device)
        if key not in self._markers:
            overrides = {} if device is None else {"device": device}
            self._markers[key] = load_marker(self.root, fppi=fppi, weights=weights, overrides=overrides)
            logger.info("loaded %s, weights %s", self.root.name, weights.parent.name if weights else SHIPPED)
        self._markers.move_to_end(key)
        while len(self._markers) > _KEPT_MARKERS:
            self._markers.popitem(last=False)
        return self._markers[key]


def is_detector(root: Path) -> bool:
    """Whether a bundle's inference marks boxes: its configuration has a detector.

    Raises:
        BundleError: no inference.json.
    """
    path = root / "configs" / "inference.json"
    if not path.is_file():
        raise BundleError(f"{path}: is missing; it says what the bundle is made of.")
    return '"detector":' in path.read_text(encoding="utf-8")


def _above(found: Detections, min_score: float) -> Detections:
    is_shown = found.scores >= min_score
    return replace(
        found, boxes=found.boxes[is_shown], scores=found.scores[is_shown], labels=found.labels[is_shown]
    )


def first_text(value: Any) -> str:
    """A client's value as text: the first of a list, \"\" for nothing."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return "" if value is None else str(value).strip()


def _number(name: str, text: str) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        number = float("nan")
    if number is not None and not (np.isfinite(number) and number >= 0):
        raise ValueError(
            f"{name} must be a number of at least 0{' or all' * (name == 'fppi')}, got {text!r}."
        )
    return number


def usable_device(name: str) -> str | None:
    """Clients ask for `cuda` whatever the server has."""
    if not name:
        return None
    return name if torch.cuda.is_available() or not name.startswith(("cuda", "gpu")) else "cpu"
