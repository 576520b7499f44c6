"""Reads regions of interest from OsiriX property lists; points are text `(x, y)`, x = column."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from mammo_monai.readers.audit import InvalidRecordError

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_POINT = re.compile(rf"\s*\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)\s*")


@dataclass(frozen=True)
class RegionOfInterest:
    """A drawn region.

    Attributes:
        name: as the reader of the images typed it. points: `(x, y)`, original pixels; one or two are dots.
    """

    name: str
    points: tuple[tuple[float, float], ...]


def read_regions(path: Path) -> list[RegionOfInterest]:
    """All regions of an OsiriX XML file, in file order.

    Raises:
        InvalidRecordError: not a property list, entity declarations (refused: they can expand without
            end), no images in it, or a point that is not `(x, y)`.
    """
    try:
        with path.open("rb") as stream:
            content = plistlib.load(stream)
        return [_region(region) for image in content["Images"] for region in image["ROIs"]]
    except (plistlib.InvalidFileException, ExpatError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "not a property list"
    except (LookupError, TypeError, AttributeError) as error:
        reason = f"Images with ROIs that have a Name and points in Point_px are expected, failed at {error}"
    raise InvalidRecordError(
        "xml-unusable", str(path), f"not usable as OsiriX regions: {reason}", "Download it again."
    )


def parse_point(text: str) -> tuple[float, float]:
    """The numbers of a point, read by pattern, never evaluated.

    Raises:
        ValueError: not of the form `(x, y)`.

    >>> parse_point("(120.599976, 1149.5)")
    (120.599976, 1149.5)
    """
    match = _POINT.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a point '(x, y)', got {text!r:.60}")
    return float(match[1]), float(match[2])


def _region(region: Mapping[str, Any]) -> RegionOfInterest:
    return RegionOfInterest(
        str(region["Name"]).strip(), tuple(parse_point(point) for point in region["Point_px"])
    )
