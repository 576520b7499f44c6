"""Pictures of what was marked: each image with its best detections, and its lesions where they are known."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL.PngImagePlugin import PngInfo

from mammo_monai.files import atomic_path
from mammo_monai.records import Detections, ImageRecord, Lesion
from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.pictures.overlays import Mark, draw_overlay
from mammo_monai.schema.model_line import model_line
from mammo_monai.transforms.prepared_file import prepared_frame
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
PICTURE_SIZE = (960, 1280)


def save_overlays(
    detections: Iterable[Detections],
    folder: Path,
    *,
    records: Sequence[ImageRecord] = (),
    max_marks: int = 5,
    model: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Draws every image with its `max_marks` best detections and its lesions as `<record_id>.png`.

    Images whose path the detections do not hold are passed over, with a warning. On a prepared copy the marks
    are drawn where the copy shows them.

    Args:
        records: of the images where lesions are known, in any order.
        model: of the detections' file; the pictures' text `Software` says it in a line.

    Returns:
        The pictures, in the order of the detections.

    Raises:
        OSError: an image cannot be read, or a picture cannot be written. DicomError: as `load_display_image`.
        ManifestError: a damaged prepared copy.
    """
    lesions = {record.record_id: record.lesions for record in records}
    pictures, told = [], PngInfo()
    if model is not None:
        told.add_itxt("Software", model_line(model))
    for each in detections:
        if each.image is None:
            logger.warning(
                "record %s: no picture, the detections do not name its image file.", each.record_id
            )
            continue
        marks = _as_shown(_marks(each, lesions.get(each.record_id, ()), max_marks), each.image)
        picture = draw_overlay(load_display_image(each.image), marks, size=PICTURE_SIZE)
        with atomic_path(folder / f"{each.record_id}.png") as part:
            picture.save(part, format="PNG", pnginfo=told)
        pictures.append(folder / f"{each.record_id}.png")
    logger.info("wrote %s to %s", counted(len(pictures), "picture"), folder)
    return pictures


def _marks(detections: Detections, lesions: Sequence[Lesion], max_marks: int) -> list[Mark]:
    best = np.argsort(-detections.scores, kind="stable")[:max_marks]
    truth = [Mark(lesion.box, "lesion") for lesion in lesions]
    # Amber: whether a mark is right is not known here.
    marked = [Mark(_box(detections, n), "hit", f"{detections.scores[n]:.2f}") for n in best]
    return truth + marked


def _as_shown(marks: Sequence[Mark], image: Path) -> list[Mark]:
    """The marks, in original pixels, in those of the file: a prepared copy is cropped, turned and resized."""
    frame = prepared_frame(image)
    if frame is None or not marks:
        return list(marks)
    boxes = frame.to_model(np.array([mark.box for mark in marks], dtype=np.float64))
    return [
        replace(mark, box=(box[0], box[1], box[2], box[3]))
        for mark, box in zip(marks, boxes.tolist(), strict=True)
    ]


def _box(detections: Detections, row: int) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = detections.boxes[row].tolist()
    return x_min, y_min, x_max, y_max
