"""Writes what readers stand for: COCO JSON, detections.json and a DICOM report per image."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from mammo_monai import __version__
from mammo_monai.dicom.reading import open_mammogram
from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result, model_identity
from mammo_monai.errors import MammoError
from mammo_monai.files import atomic_path, write_json_atomic
from mammo_monai.geometry.boxes import clip_boxes
from mammo_monai.records import LESION_LABELS, Boxes, Detections
from mammo_monai.schema import write_detections
from mammo_monai.schema.model_line import model_facts
from mammo_monai.service.review.marks import ImageReview, Mark
from mammo_monai.service.review.worklist import ReviewImage, Worklist

logger = logging.getLogger(__name__)

COCO, CORRECTED, REPORTS = "corrected.coco.json", "corrected.detections.json", "sr"
KINDS = ("coco", "detections", "sr")
_NAMES = {label: name for name, label in LESION_LABELS.items()}
Json = dict[str, Any]


@dataclass(frozen=True)
class Reviewed:
    """One reviewed image: the marks its readers stand for, inside the image, none without an area.

    Attributes:
        boxes: of the marks, original pixels, shape (N, 4).
    """

    image: ReviewImage
    review: ImageReview
    marks: tuple[Mark, ...]
    boxes: Boxes


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        files: relative to the folder. n_images, n_boxes: reviewed images and their boxes.
        n_left_out: images not reviewed yet. problems: what could not be written, in words.
    """

    files: tuple[str, ...]
    n_images: int
    n_boxes: int
    n_left_out: int
    problems: tuple[str, ...] = ()


def export_reviews(
    folder: Path, worklist: Worklist, reviews: Sequence[ImageReview], *, kinds: Sequence[str] = KINDS
) -> Exported:
    """Writes the reviewed images' accepted boxes; images not reviewed are left out of every file.

    Boxes are the readers': moved ones where they were moved to, rejected ones gone. An image reviewed
    without a box is in all files: it is normal.

    Args:
        folder: COCO and detections go into it, reports into its `sr/`. reviews: one for each image.
        kinds: of `KINDS`; reports are written of DICOM images alone.

    Raises:
        ValueError: another kind.
        OSError: the disk is full or read-only; the message names the file.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ValueError(f"kinds must be among {', '.join(KINDS)}, got {', '.join(sorted(unknown))}.")
    pairs = zip(worklist.images, reviews, strict=True)
    done = [_reviewed(image, review) for image, review in pairs if review.is_reviewed]
    files: list[str] = []
    problems: list[str] = []
    if "coco" in kinds:
        write_json_atomic(folder / COCO, coco_of(done, folder, dict(worklist.model)))
        files.append(COCO)
    if "detections" in kinds:
        write_detections(folder / CORRECTED, [_corrected(each) for each in done], _model_of(worklist, done))
        files.append(CORRECTED)
    if "sr" in kinds:
        _remove_stale(folder / REPORTS, worklist, done)
        _write_reports(folder / REPORTS, done, model_identity(worklist.model), files, problems)
    return Exported(
        files=tuple(files),
        n_images=len(done),
        n_boxes=sum(len(each.marks) for each in done),
        n_left_out=len(worklist.images) - len(done),
        problems=tuple(problems),
    )


def coco_of(done: Sequence[Reviewed], folder: Path, model: Json) -> Json:
    """The reviewed images as a COCO data set, as `mammo-monai manifest coco` reads it.

    Args:
        folder: of the JSON; image files are named relative to it.
        model: of the detections that were reviewed; empty where nobody had marked.
    """
    labels = sorted({0, *(mark.label for each in done for mark in each.marks)})
    images = [_coco_image(number, each, folder) for number, each in enumerate(done, start=1)]
    rows = ((n, each, k) for n, each in enumerate(done, start=1) for k in range(len(each.marks)))
    return {
        "info": {
            "description": "Boxes readers accepted, corrected or drew. Images not reviewed are left out.",
            "made_by": f"mammo-monai {__version__}",
            **({"model": model_facts(model)} if model else {}),
        },
        "images": images,
        "categories": [{"id": label, "name": _name_of(label)} for label in labels],
        "annotations": [_coco_box(id_, *row) for id_, row in enumerate(rows, start=1)],
    }


def _reviewed(image: ReviewImage, review: ImageReview) -> Reviewed:
    rows = np.array([mark.box for mark in review.accepted], dtype=np.float64).reshape(-1, 4)
    boxes = clip_boxes(rows, image.width, image.height)
    is_area = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    kept = tuple(mark for mark, keep in zip(review.accepted, is_area, strict=True) if keep)
    return Reviewed(image, review, kept, boxes[is_area])


def _coco_image(number: int, each: Reviewed, folder: Path) -> Json:
    image = each.image
    known = {
        "patient_id": image.patient_key,
        "laterality": image.laterality.value if image.laterality else "",
        "view_position": image.view_position.value if image.view_position else "",
    }
    return {
        "id": number,
        "file_name": Path(os.path.relpath(image.path, folder)).as_posix() if image.path else "",
        "width": image.width,
        "height": image.height,
        "record_id": image.record_id,
        **{name: value for name, value in known.items() if value},
        "reviewed_by": each.review.reader,
        "reviewed_at": each.review.changed_at,
        "comment": each.review.comment,
    }


def _coco_box(number: int, image_id: int, each: Reviewed, place: int) -> Json:
    mark, (x_min, y_min, x_max, y_max) = each.marks[place], each.boxes[place].tolist()
    return {
        "id": number,
        "image_id": image_id,
        "category_id": mark.label,
        "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
        "area": (x_max - x_min) * (y_max - y_min),
        "iscrowd": 0,
        "source": mark.source,
        "score": mark.score,
        "comment": mark.comment,
    }


def _name_of(label: int) -> str:
    return _NAMES.get(label, f"class {label}")


def _corrected(each: Reviewed) -> Detections:
    """The boxes as detections: the model's scores, and 1 for a box that a reader drew."""
    scores = [1.0 if mark.score is None else mark.score for mark in each.marks]
    return Detections(
        each.image.record_id,
        each.boxes,
        np.array(scores, dtype=np.float64),
        np.array([mark.label for mark in each.marks], dtype=np.int64),
        each.image.path,
    )


def _model_of(worklist: Worklist, done: Sequence[Reviewed]) -> Json:
    """The model's description with what readers did to its detections."""
    about = {
        "readers": sorted({each.review.reader for each in done}),
        "n_images": len(done),
        "detections_sha256": worklist.sha256,
        "scores": "of the model; 1 for a box that a reader drew",
        "software": f"mammo-monai {__version__}",
    }
    return {**worklist.model, "reviewed": about}


def _write_reports(
    folder: Path, done: Sequence[Reviewed], model: ModelIdentity, files: list[str], problems: list[str]
) -> None:
    """A report for every DICOM image; one that cannot be made is a problem, the others are written."""
    pictures = sum(not each.image.is_dicom for each in done)
    if pictures:
        problems.append(f"{pictures} of the reviewed images are no DICOM files: no report is made of them.")
    for each in done:
        if not each.image.is_dicom or each.image.path is None:
            continue
        path = folder / f"{each.image.plain_name}.dcm"
        try:
            with atomic_path(path) as part:
                _report(each, each.image.path, model).save_as(part, enforce_file_format=True)
        except MammoError as error:
            path.unlink(missing_ok=True)  # of an export before: it says what the reader has changed since
            logger.warning("record %s: no report: %s", each.image.record_id, error)
            problems.append(f"{each.image.name}, record {each.image.record_id}: no report; the log says why.")
        else:
            files.append(f"{folder.name}/{path.name}")


def _remove_stale(folder: Path, worklist: Worklist, done: Sequence[Reviewed]) -> None:
    """Takes away reports of images that a reader has opened again: they say what nobody stands for now."""
    current = {each.image.record_id for each in done}
    for image in worklist.images:
        if image.record_id not in current:
            (folder / f"{image.plain_name}.dcm").unlink(missing_ok=True)


def _report(each: Reviewed, source: Path, model: ModelIdentity) -> Dataset:
    marked = _corrected(each)
    drawn = np.array([mark.score is None for mark in each.marks], dtype=bool)
    scores = np.where(drawn, np.nan, marked.scores)  # a reader's box has no certainty of the model
    image = MarkedImage(open_mammogram(source, headers_only=True), replace(marked, scores=scores))
    return build_result("sr", [image], model, reviewed=True)
