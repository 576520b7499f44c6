"""Whether detections belong to the images of a manifest: no unknown image, no box off its image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.geometry.boxes import box_area
from mammo_monai.records import Boxes, Detections, ImageRecord
from mammo_monai.schema.detections import DetectionsFile
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


def check_detections(
    path: Path, content: DetectionsFile, records: Sequence[ImageRecord], *, manifest: Path
) -> None:
    """Refuses detections of unknown images, and boxes that do not touch their image.

    A box may overhang the border, as detectors' boxes do. One that lies off by more than half is warned of:
    it often comes from another size of the image. So is a file in which some images have a score of their own
    and others none.

    Args:
        path: of the detections, for messages. records: all images they may speak of.
        manifest: where the records come from, for messages.

    Raises:
        ManifestError: a row whose record id no image has, or a box off its image; the first is named.
    """
    sizes = {record.record_id: (record.width, record.height) for record in records}
    rows = content.detections
    unknown = [row for row, each in enumerate(rows) if each.record_id not in sizes]
    if unknown:
        raise ManifestError(
            f"{path}, detections row {unknown[0]} ({rows[unknown[0]].record_id}): no image of {manifest} has "
            f"this record id ({len(unknown)} of {counted(len(rows), 'row')}). Give the manifest and the "
            "split that the detections were made from."
        )
    _warn_of_some_image_scores(path, rows)
    placed = _placed(rows, np.array([sizes[each.record_id] for each in rows], dtype=np.float64))
    off = np.flatnonzero(placed.is_off)
    if len(off):
        width, height = placed.limits[off[0]]
        raise ManifestError(
            f"{placed.place(path, rows, off[0])} {placed.boxes[off[0]].tolist()} does not touch the image of "
            f"{width:g} × {height:g} px (width × height; {len(off)} of {counted(len(placed.boxes), 'box')}). "
            "Boxes are x_min, y_min, x_max, y_max in pixels of the original image: write them in those."
        )
    mostly = np.flatnonzero(placed.is_mostly_off)
    if len(mostly):
        logger.warning(
            "%s lies outside its image by more than half (%d of %s). If that is not the detector's "
            "habit, its boxes are in pixels of another size of the image.",
            placed.place(path, rows, mostly[0]),
            len(mostly),
            counted(len(placed.boxes), "box"),
        )


@dataclass(frozen=True, eq=False)
class _Placed:
    """All boxes of a file with where they stand, shape (N, …).

    Attributes:
        row, number: of the image's entry in the file, of the box in the entry.
        limits: width and height of the image, shape (N, 2).
    """

    boxes: Boxes
    row: NDArray[np.int64]
    number: NDArray[np.int64]
    limits: NDArray[np.float64]

    @property
    def is_off(self) -> NDArray[np.bool_]:
        """Boxes that have no point in common with their image; those clipped to its edge have."""
        return np.asarray(np.any((self.boxes[:, :2] > self.limits) | (self.boxes[:, 2:] < 0), axis=1))

    @property
    def is_mostly_off(self) -> NDArray[np.bool_]:
        """Boxes with less than half of their area inside."""
        sides = np.minimum(self.boxes[:, 2:], self.limits) - np.maximum(self.boxes[:, :2], 0)
        return np.asarray(np.maximum(sides, 0).prod(axis=1) < box_area(self.boxes) / 2)

    def place(self, path: Path, rows: Sequence[Detections], n: int) -> str:
        """File, row, record id and box, for messages."""
        row = int(self.row[n])
        return f"{path}, detections row {row} ({rows[row].record_id}), box {self.number[n]}"


def _placed(rows: Sequence[Detections], sizes: NDArray[np.float64]) -> _Placed:
    counts = [len(each.boxes) for each in rows]
    return _Placed(
        boxes=np.concatenate([np.zeros((0, 4)), *(each.boxes.reshape(-1, 4) for each in rows)]),
        row=np.repeat(np.arange(len(rows)), counts),
        number=np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(count) for count in counts)]),
        limits=np.repeat(sizes.reshape(-1, 2), counts, axis=0),
    )


def _warn_of_some_image_scores(path: Path, rows: Sequence[Detections]) -> None:
    without = [row for row, each in enumerate(rows) if each.image_score is None]
    if without and len(without) < len(rows):
        logger.warning(
            "%s: %d of %d images have no image_score, the first in detections row %d (%s). Unless those are "
            "of other lists, images are scored by their highest detection: give all a score, or none.",
            path,
            len(without),
            len(rows),
            without[0],
            rows[without[0]].record_id,
        )
