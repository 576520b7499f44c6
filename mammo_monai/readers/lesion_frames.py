"""Judges boxes by size and place alone: shares of the image taken for pixels, boxes of a smaller copy.

Findings: box-invalid (quarantined), lesion-size, lesions-displaced (warned).

The limits hold of 1376 true masses (1318 of the training films of CBIS-DDSM, 58 of INbreast): none fills more
than 8 % of its film, none has a longer side below 2 % of the film's longer one, 17 in 100 lie in the upper
left quarter of their film (33 in 100 of left breasts), and 2 of all are wider than they lie from the left
edge and higher than from the upper one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import MASS_LABEL, MIN_CONTOUR_POINTS, ImageRecord

MAX_SHARE = 0.5
MIN_SIDE_SHARE = 0.005
# All of so many: by chance 1 in 500 000 where each is in that quarter once in three, less for the corners.
_MIN_CORNERS = 5
# The share of both sides of the image that all masses lie within, counted from the upper left, and how many
# must: of left breasts 2 in 100 masses lie within a quarter of both sides, 33 within a half; where films are
# turned so that all show a left breast, rows alone tell, and 84 in 100 lie within 0.7, 95 within 0.8.
_CORNERS = (
    (0.1, 3, "0.1 of both sides"),
    (0.25, 5, "0.25 of both sides"),
    (0.5, 12, "quarter"),
    (0.7, 100, "0.7 of both sides"),
    (0.8, 300, "0.8 of both sides"),
)


def with_boxes_in_pixels(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """The records without those that have a box within the first pixel: its numbers are shares of the image.

    Of the others it notes masses far larger or smaller than any known one, and a set whose masses all lie
    where a wrong scale, or corners taken for width and height, would put them.
    """
    kept = []
    for record in records:
        with audit.image(record.record_id, _where(record), path=record.image):
            _refuse_shares(record)
            _note_sizes(record, audit)
            kept.append(record)
    _note_displaced(kept, audit)
    return kept


def _refuse_shares(record: ImageRecord) -> None:
    if min(record.width, record.height) <= 1:
        return
    for lesion in record.lesions:
        is_dot = lesion.contour is not None and len(lesion.contour) < MIN_CONTOUR_POINTS
        if max(lesion.box[2:]) <= 1 and not is_dot:
            found = (
                f"a box {[round(each, 4) for each in lesion.box]} ends within the first pixel of the image"
            )
            remedy = (
                "Are its numbers shares of the image, from 0 to 1? Multiply them by its width and height."
            )
            raise InvalidRecordError("box-invalid", _where(record), found, remedy)


def _note_sizes(record: ImageRecord, audit: Audit) -> None:
    boxes = _masses(record)
    sides = boxes[:, 2:] - boxes[:, :2]
    shares = sides.prod(axis=1) / (record.width * record.height)
    if (shares > MAX_SHARE).any():
        found = (
            f"a mass fills {100 * shares.max():.0f} % of the image: does its box mark the image, or a breast?"
        )
        audit.note("lesion-size", record.record_id, found)
    longer = sides.max(axis=1)
    if (longer < MIN_SIDE_SHARE * max(record.width, record.height)).any():
        size = f"{record.width} × {record.height} px"
        found = f"a mass of {longer.min():.3g} px in an image of {size}: is it a click?"
        audit.note("lesion-size", record.record_id, found)


def _note_displaced(records: Sequence[ImageRecord], audit: Audit) -> None:
    found = [
        (_masses(record) / (record.width, record.height, record.width, record.height)) for record in records
    ]
    boxes = np.unique(np.concatenate([np.empty((0, 4)), *found]), axis=0)  # a copy proves nothing
    sides = boxes[:, 2:] - boxes[:, :2]
    if len(boxes) >= _MIN_CORNERS and (sides > boxes[:, :2]).all():
        said = (
            f"each of {len(boxes)} boxes of masses is larger than its distance from the upper left corner: "
            "were corners x1, y1, x2, y2 given as x, y, width, height? Look at them with mammo-monai show"
        )
        audit.note("lesions-displaced", "", said)
        return
    reach = float(boxes[:, 2:].max(initial=0.0))
    corner = next((words for share, least, words in _CORNERS if reach <= share and len(boxes) >= least), None)
    if corner is not None:
        said = (
            f"all {len(boxes)} boxes of masses lie in the upper left {corner} of their images: were they "
            "drawn on smaller copies, or given in mm? Look at them with mammo-monai show"
        )
        audit.note("lesions-displaced", "", said)


def _masses(record: ImageRecord) -> NDArray[np.float64]:
    """Boxes of masses, shape (N, 4)."""
    boxes = [lesion.box for lesion in record.lesions if lesion.label == MASS_LABEL]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _where(record: ImageRecord) -> str:
    return f"{record.image}, {record.source}" if record.source else str(record.image)
