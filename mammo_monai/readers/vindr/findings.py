"""VinDr-Mammo's findings of one image as lesions: each row is a box with its categories, or "No Finding"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammo_monai.geometry import clip_boxes
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.categories import birads_category
from mammo_monai.readers.tables import UNKNOWN_MARKS, TableRow
from mammo_monai.readers.vindr.table import (
    BOX_COLUMNS,
    FINDING_TYPES,
    NO_FINDING,
    finding_categories,
    finding_type,
)
from mammo_monai.records import MASS_LABEL, Box, ImageRecord, Lesion, label_of
from mammo_monai.schema import Action

# Boxes drawn to the border end a fraction of a pixel outside; more is a fault.
BORDER_TOLERANCE_PX = 1.0
_REMEDY = "Use the table as it was published."


def read_findings(rows: Sequence[TableRow], record: ImageRecord, audit: Audit) -> tuple[Lesion, ...]:
    """The lesions of an image in the order of its rows; none where the rows say "No Finding".

    The same row twice is one lesion. Ids count the rows from 1.

    Args:
        record: the image without lesions, for its size and id.

    Raises:
        InvalidRecordError: a cell that cannot be read, a finding without a box, a box without a finding, or a
            box that has no area or leaves the image by more than `BORDER_TOLERANCE_PX`.
    """
    lesions: list[Lesion] = []
    seen: list[dict[str, str]] = []
    for number, row in enumerate(rows, start=1):
        if row.values in seen:
            text = "the same finding stands twice; it counts once"
            audit.note("row-repeated", record.record_id, text, Action.REPAIRED, place=row.place)
            continue
        seen.append(row.values)
        lesion = _lesion(str(number), row, record, audit)
        if lesion is not None:
            lesions.append(lesion)
    if lesions and len(lesions) < len(seen):
        text = '"No Finding" stands beside a finding of the same image; the finding holds'
        audit.note("finding-contradicted", record.record_id, text, place=rows[0].place)
    masses = [lesion.box for lesion in lesions if lesion.label == MASS_LABEL]
    if repeated := len(masses) - len(set(masses)):
        text = f"{repeated} of {len(masses)} masses have the box of another one"
        audit.note("box-repeated", record.record_id, text, place=rows[0].place)
    return tuple(lesions)


def _lesion(number: str, row: TableRow, record: ImageRecord, audit: Audit) -> Lesion | None:
    categories = _categories(row)
    box = _box(row)
    if NO_FINDING in categories:
        if box is not None or len(categories) > 1:
            found = '"No Finding" has a box or other categories beside it'
            raise InvalidRecordError("box-unexpected", row.where, found, _REMEDY)
        return None
    if box is None:
        raise InvalidRecordError("box-missing", row.where, "a finding has no box", _REMEDY)
    if not set(categories) <= FINDING_TYPES.keys():
        text = "a finding has a category that is not one of the ten published; it is kept as other"
        audit.note("category-unknown", record.record_id, text, place=row.place)
    lesion_type = finding_type(categories)
    return Lesion(
        box=_inside(box, row, record, audit),
        id=number,
        type=lesion_type,
        label=label_of(lesion_type),
        birads=_birads(row),
    )


def _categories(row: TableRow) -> tuple[str, ...]:
    try:
        return finding_categories(row.values["finding categories"])
    except ValueError:
        raise row.fault("finding categories", "a list such as ['Mass', 'Skin Thickening']") from None


def _birads(row: TableRow) -> int | None:
    text = row.values["finding birads"]
    try:
        return None if text.lower() in UNKNOWN_MARKS else birads_category(text)
    except ValueError:
        raise row.fault("finding birads", "BI-RADS 0 to 6, or empty") from None


def _box(row: TableRow) -> Box | None:
    """The box as it stands in the table; None where all four cells are empty."""
    sides = [row.decimal(name) for name in BOX_COLUMNS]
    known = [side for side in sides if side is not None]
    if not known:
        return None
    if len(known) < len(sides):
        raise InvalidRecordError("box-missing", row.where, "a box has not all of its four sides", _REMEDY)
    x_min, y_min, x_max, y_max = known
    if not (x_max > x_min and y_max > y_min):
        found = f"expected xmin < xmax and ymin < ymax, got {known}"
        raise InvalidRecordError("box-invalid", row.where, found, _REMEDY)
    return x_min, y_min, x_max, y_max


def _inside(box: Box, row: TableRow, record: ImageRecord, audit: Audit) -> Box:
    inside = clip_boxes(np.array([box]), record.width, record.height)
    overhang = float(np.abs(np.array([box]) - inside).max())
    x_min, y_min, x_max, y_max = inside[0].tolist()
    if overhang > BORDER_TOLERANCE_PX or not (x_max > x_min and y_max > y_min):
        found = f"a box {list(box)} leaves the image of {record.width} × {record.height} px"
        raise InvalidRecordError("box-outside", row.where, found, "Are table and image of the same data set?")
    if overhang:
        text = f"a box left the image by {overhang:.2f} px and was cut there"
        audit.note("box-clipped", record.record_id, text, Action.REPAIRED, place=row.place)
    return x_min, y_min, x_max, y_max
