"""Judges lesions by one another: a lesion drawn or listed twice, one box on several images.

Findings: box-repeated, lesion-copied (warned).

The limits hold of 1376 true masses (1318 of the training films of CBIS-DDSM, 58 of INbreast): no two of one
film have a higher IoU than 0.44, and no two films have a box in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mammo_monai.geometry import box_iou
from mammo_monai.readers.audit import Audit
from mammo_monai.records import MASS_LABEL, Box, ImageRecord
from mammo_monai.words import counted

ALMOST_THE_SAME_IOU = 0.7
_MAX_MASSES = 200  # a mask of noise has thousands of parts, which is said elsewhere
# In a small image two masses may have one box by chance. No source known.
_MIN_SIDE_OF_TWO_PX, _MIN_SIDE_OF_THREE_PX = 500, 200


def note_copied_lesions(records: Sequence[ImageRecord], audit: Audit) -> None:
    """Notes masses of one image that are almost the same, and images that have a box in common.

    The first are drawn by two people, or exported twice with other rounding, and would count as two lesions.
    The second are of a cell filled down in a table, or of an annotation file copied over another's.
    """
    for record in records:
        _note_almost_repeated(record, audit)
    _note_in_common(records, audit)


def _note_almost_repeated(record: ImageRecord, audit: Audit) -> None:
    boxes = record.boxes[record.labels == MASS_LABEL]
    if not 2 <= len(boxes) <= _MAX_MASSES:
        return
    iou = np.triu(box_iou(boxes, boxes), k=1)
    almost = np.count_nonzero((iou >= ALMOST_THE_SAME_IOU) & (iou < 1))
    if almost:
        found = (
            f"{almost} of {len(boxes)} masses have almost the box of another one: was one lesion exported, "
            "or drawn, twice? --merge-overlapping 0.5 counts such as one"
        )
        audit.note("box-repeated", record.record_id, found)


def _note_in_common(records: Sequence[ImageRecord], audit: Audit) -> None:
    images: dict[Box, dict[str, ImageRecord]] = defaultdict(dict)
    for record in records:
        for lesion in record.lesions:
            if not lesion.is_dot:
                images[lesion.box][record.record_id] = record
    shared = [found for found in images.values() if _is_no_chance([*found.values()])]
    if shared:
        n_images = len({record_id for found in shared for record_id in found})
        first, second = [*shared[0]][:2]
        said = (
            f"several images have the very same box: {counted(len(shared), 'box')} on {n_images} images, as "
            f"on {first} and {second}. Was a row filled down, or one image's annotation put over another's?"
        )
        audit.note("lesion-copied", "", said)


def _is_no_chance(records: Sequence[ImageRecord]) -> bool:
    side = min(min(record.width, record.height) for record in records)
    least = _MIN_SIDE_OF_THREE_PX if len(records) > 2 else _MIN_SIDE_OF_TWO_PX
    return len(records) > 1 and side >= least
