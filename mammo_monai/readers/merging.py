"""Counts lesions the other way: annotations of one image that overlap become one lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mammo_monai.geometry import merge_overlapping_boxes
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.categories import joined_type
from mammo_monai.records import Box, ImageRecord, Lesion, Split
from mammo_monai.schema import Action, Manifest

T = TypeVar("T")


def merge_overlapping_lesions(
    manifest: Manifest, *, min_iou: float = 0.0, audit: Audit | None = None
) -> Manifest:
    """The manifest with overlapping lesions of one image and label joined; scoring then counts each once.

    Two lesions belong together when their IoU exceeds `min_iou`, or when a chain of such pairs links them.
    The joined lesion stands where its first member stood and has the box around all, their ids and types
    joined by "+", no area, no contour, and of the other fields those on which all members agree. Lesions
    that overlap none stay as they are; so do dots, which have no extent that could overlap.

    Args:
        min_iou: in [0, 1); 0 joins whatever overlaps at all.
        audit: gets a row `lesions-merged` for each image that changed.

    Raises:
        ValueError: `min_iou` is outside its range.

    Source: P3 (Agarwal et al., 2019) merges overlapping annotations and names no limit.

    >>> from pathlib import Path
    >>> lesions = (Lesion((0, 0, 4, 4), "1"), Lesion((8, 8, 9, 9), "2"), Lesion((2, 2, 6, 6), "3"))
    >>> record = ImageRecord(Path("a.png"), "0f", "p", width=9, height=9, lesions=lesions)
    >>> merged = merge_overlapping_lesions(Manifest(test=(record,))).test[0].lesions
    >>> [(lesion.id, lesion.box) for lesion in merged]
    [('1+3', (0.0, 0.0, 6.0, 6.0)), ('2', (8, 8, 9, 9))]
    """
    if not 0 <= min_iou < 1:
        raise ValueError(f"min_iou must be at least 0 and below 1, got {min_iou}.")
    lists = {
        split.value: tuple(_merged(record, min_iou, audit) for record in manifest.images(split))
        for split in Split
    }
    return replace(manifest, **lists)  # type: ignore[arg-type]  # the names are the fields


def _merged(record: ImageRecord, min_iou: float, audit: Audit | None) -> ImageRecord:
    found: list[tuple[int, Lesion]] = []
    is_dot = np.array([lesion.is_dot for lesion in record.lesions], dtype=bool)
    found += [(row, record.lesions[row]) for row in np.flatnonzero(is_dot).tolist()]
    for label in np.unique(record.labels):
        rows = np.flatnonzero((record.labels == label) & ~is_dot).tolist()
        boxes, groups = merge_overlapping_boxes(record.boxes[rows], min_iou)
        for box, group in zip(boxes.tolist(), groups, strict=True):
            members = [record.lesions[rows[each]] for each in group]
            found.append((rows[group[0]], _joined(members, (box[0], box[1], box[2], box[3]))))
    if len(found) == len(record.lesions):
        return record
    if audit is not None:
        said = f"{len(record.lesions)} lesions, {len(found)} where overlapping ones are merged"
        audit.note("lesions-merged", record.record_id, said, Action.REPAIRED)
    found.sort(key=lambda each: each[0])
    return replace(record, lesions=tuple(lesion for _, lesion in found))


def _joined(members: Sequence[Lesion], box: Box) -> Lesion:
    if len(members) == 1:
        return members[0]
    return Lesion(
        box=box,
        id="+".join(each.id for each in members if each.id),
        type=joined_type(each.type for each in members),
        label=members[0].label,
        pathology=_agreed([each.pathology for each in members]),
        birads=_agreed([each.birads for each in members]),
        subtlety=_agreed([each.subtlety for each in members]),
    )


def _agreed(values: Sequence[T | None]) -> T | None:
    return values[0] if all(each == values[0] for each in values) else None
