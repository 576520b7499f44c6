"""INbreast's drawn regions as lesions: the published names by type, dots, contours at the border.

The names in the published XML files, with their misspellings, and what they become:

| name | type | label |
|---|---|---|
| Mass | mass | 0 |
| Calcification, Calcifications | calcification | 1 |
| Cluster | calcification+cluster | 1 |
| Asymmetry, Assymetry | asymmetry | 2 |
| Distortion | distortion | 3 |
| Spiculated Region, Spiculated region, Espiculated Region | other+spiculated region | 4 |
| Point 1, Point 3, Unnamed, none at all | other | 4 |

A spiculated region holds the spicules around a mass, drawn beside the mass or in its stead: its box is far
larger than the mass, so it is no truth for masses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammo_monai.geometry import clip_boxes, contour_area_px, contour_box
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.inbreast.osirix import RegionOfInterest
from mammo_monai.readers.tables import TableRow
from mammo_monai.records import MASS_LABEL, MIN_CONTOUR_POINTS, Box, ImageRecord, Lesion, label_of
from mammo_monai.schema import Action

# Contours drawn to the border end a fraction of a pixel outside; more is a fault.
BORDER_TOLERANCE_PX = 1.0
_SPICULATED = "other+spiculated region"
REGION_TYPES = {
    "mass": "mass",
    "masses": "mass",
    "calcification": "calcification",
    "calcifications": "calcification",
    "microcalcification": "calcification",
    "microcalcifications": "calcification",
    "cluster": "calcification+cluster",
    "clusters": "calcification+cluster",
    "asymmetry": "asymmetry",
    "assymetry": "asymmetry",
    "distortion": "distortion",
    "architectural distortion": "distortion",
    "spiculated region": _SPICULATED,
    "espiculated region": _SPICULATED,
    "point 1": "other",
    "point 3": "other",
    "unnamed": "other",
    "": "other",
}


class RegionReader:
    """Turns the regions of one image into lesions; what is odd about them becomes findings.

    Args:
        record: the image without lesions. row: of the table, for messages. audit: takes the findings.
    """

    def __init__(self, record: ImageRecord, row: TableRow, audit: Audit) -> None:
        self._record, self._row, self._audit = record, row, audit
        self._spacing = record.pixel_spacing_mm

    def lesions(self, regions: Sequence[RegionOfInterest]) -> tuple[Lesion, ...]:
        """The lesions in the order of the regions; their ids count the regions from 1.

        A region without points is left out. So is one that leaves the image by more than
        `BORDER_TOLERANCE_PX`, unless it is a mass: then the image goes.

        Raises:
            InvalidRecordError: a mass lies outside the image.
        """
        found = [self._lesion(str(n), region) for n, region in enumerate(regions, start=1)]
        unknown = sum(_key(region.name) not in REGION_TYPES for region in regions)
        if unknown:
            self._note(
                "region-unknown", f"{unknown} regions have a name of their own; they are kept as other"
            )
        if not all(region.is_complete for region in regions):
            self._note(
                "region-incomplete",
                "the XML file speaks of more or fewer regions or points than it has, or of several images",
            )
        masses = [each.box for each in found if each is not None and each.label == MASS_LABEL]
        if repeated := len(masses) - len(set(masses)):
            self._note("box-repeated", f"{repeated} of {len(masses)} masses have the box of another one")
        return tuple(lesion for lesion in found if lesion is not None)

    def _lesion(self, number: str, region: RegionOfInterest) -> Lesion | None:
        if not region.points:
            self._note("region-empty", f"region {number} has no points; it is left out")
            return None
        lesion_type = REGION_TYPES.get(_key(region.name), "other")
        is_flat = _is_flat(region)
        if lesion_type == "mass" and is_flat:
            self._note(
                "mass-is-dot",
                f"region {number}, a mass, is a dot or a line without an area; it is kept as other, label 4",
            )
            lesion_type = "other"
        box = self._box(number, region, is_mass=label_of(lesion_type) == MASS_LABEL)
        if box is None:
            return None
        area_px = 0.0 if is_flat else contour_area_px(region.points)
        return Lesion(
            box=box,
            id=number,
            type=lesion_type,
            label=label_of(lesion_type),
            area_mm2=area_px * self._spacing[0] * self._spacing[1] if self._spacing and area_px else None,
            contour=region.points,
            birads=self._record.birads,
        )

    def _box(self, number: str, region: RegionOfInterest, *, is_mass: bool) -> Box | None:
        """The box around the points; that of a dot is 1 px about each, and a line is 1 px wide."""
        size = (self._record.width, self._record.height)
        box = np.array([contour_box(region.points)])
        inside = clip_boxes(box, *size)
        overhang = float(np.abs(box - inside).max())
        if overhang > BORDER_TOLERANCE_PX:
            found = (
                f"region {number} with box {[round(each, 1) for each in box[0].tolist()]} leaves the image "
                f"of {size[0]} × {size[1]} px"
            )
            if is_mass:
                remedy = "Is the XML file that of another image?"
                raise InvalidRecordError("box-outside", self._row.where, f"{found}; it is a mass", remedy)
            self._note("region-outside", f"{found}; it is no mass and left out")
            return None
        if overhang:
            self._note("box-clipped", f"region {number} left the image by {overhang:.2f} px", Action.REPAIRED)
        is_point = len(region.points) < MIN_CONTOUR_POINTS
        half = np.where(is_point | (inside[:, 2:] == inside[:, :2]), 0.5, 0.0)
        inside = clip_boxes(np.hstack([inside[:, :2] - half, inside[:, 2:] + half]), *size)
        x_min, y_min, x_max, y_max = inside[0].tolist()
        return x_min, y_min, x_max, y_max

    def _note(self, code: str, found: str, action: Action = Action.WARNED) -> None:
        self._audit.note(code, self._record.record_id, found, action, place=self._row.place)


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _is_flat(region: RegionOfInterest) -> bool:
    """A dot of one or two points, or a contour whose box has no area."""
    x_min, y_min, x_max, y_max = contour_box(region.points)
    return len(region.points) < MIN_CONTOUR_POINTS or x_min == x_max or y_min == y_max
