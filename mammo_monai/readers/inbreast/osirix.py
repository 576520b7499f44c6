"""Reads regions of interest from OsiriX property lists; points are text `(x, y)`, x = column."""

from __future__ import annotations

import math
import plistlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from mammo_monai.readers.audit import InvalidRecordError

MAX_XML_BYTES = 32 * 2**20
"""A contour of a thousand points takes 0.1 MB; what is larger than this is no file of contours."""
_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)"
_POINT = re.compile(rf"\s*\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)\s*", re.ASCII)


@dataclass(frozen=True)
class RegionOfInterest:
    """A drawn region.

    Attributes:
        name: as the reader of the images typed it; "" where there is none.
        points: `(x, y)`, original pixels; one or two are dots.
        is_complete: False where the file speaks of another number of points, or of regions, than it holds, or
            of several images.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    is_complete: bool = True


def read_regions(path: Path) -> list[RegionOfInterest]:
    """All regions of an OsiriX XML file, in file order.

    The DOCTYPE these files carry is not fetched, entities are not expanded, nothing is evaluated.

    Raises:
        InvalidRecordError: larger than `MAX_XML_BYTES`, not a property list in XML, entity declarations
            (refused: they can expand without end, or read other files), no images in it, or a point that is
            not `(x, y)`.
    """
    try:
        return _regions(path)
    except plistlib.InvalidFileException as error:
        reason = str(error) or "no property list in XML"
        if "entity" in reason:
            reason = "it declares XML entities, which can expand without end or read other files"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (LookupError, TypeError, AttributeError) as error:
        reason = (
            "expected Images with ROIs that have points in Point_px, "
            f"failed at {str(error) or type(error).__name__:.80}"
        )
    except (ExpatError, ValueError, OverflowError) as error:
        reason = f"{error}"[:120]
    raise InvalidRecordError(
        "xml-unusable", str(path), f"not usable as OsiriX regions: {reason}", "Download it again."
    )


def parse_point(text: str) -> tuple[float, float]:
    """The numbers of a point, read by pattern, never evaluated.

    Raises:
        ValueError: not of the form `(x, y)`, or not finite.

    >>> parse_point("(120.599976, 1149.5)")
    (120.599976, 1149.5)
    """
    match = _POINT.fullmatch(text)
    point = (float(match[1]), float(match[2])) if match else (math.nan, math.nan)
    if not all(map(math.isfinite, point)):
        raise ValueError(f"expected a point '(x, y)', got {text!r:.60}")
    return point


def _regions(path: Path) -> list[RegionOfInterest]:
    status = path.stat()
    size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("expected a file")
    if size > MAX_XML_BYTES:
        raise ValueError(f"expected at most {MAX_XML_BYTES} bytes, got {size}")
    with path.open("rb") as stream:
        # XML alone: a binary list may refer to one object from many places.
        content = plistlib.load(stream, fmt=plistlib.FMT_XML)
    regions = []
    images = _list(content, "Images")
    for image in images:
        rois = _list(image, "ROIs")
        # A file of several images holds regions of others too.
        is_complete = image.get("NumberOfROIs", len(rois)) == len(rois) and len(images) == 1
        regions += [_region(roi, is_complete=is_complete) for roi in rois]
    return regions


def _region(region: Mapping[str, Any], *, is_complete: bool) -> RegionOfInterest:
    points = tuple(parse_point(point) for point in _list(region, "Point_px"))
    is_complete = is_complete and region.get("NumberOfPoints", len(points)) == len(points)
    return RegionOfInterest(str(region.get("Name", "")).strip(), points, is_complete)


def _list(item: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(item[name], list):
        raise TypeError(f"{name}, which is no list")
    return list(item[name])
