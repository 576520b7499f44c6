"""Detections and truth of images as rows of numbers: what MONAI's metrics can keep and gather.

MONAI stacks what a metric keeps into one tensor and gathers that, so images with unlike numbers of boxes
become rows of equal length: one row opens each image, one per detection and one per lesion follow.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from mammo_monai.engines.detection_figures import Scored
from mammo_monai.geometry.axes import rowcol_to_xyxy
from mammo_monai.records import Detections, ImageRecord, Lesion

BOX, LABEL, SCORE = "box", "label", "label_scores"  # MONAI's RetinaNetDetector, its default keys
_IMAGE, _DETECTION, _LESION, _PADDING = 0.0, 1.0, 2.0, -1.0
_WIDTH = 9  # kind, two numbers of the image, four of the box, score, label
_NO_BOX = [0.0] * 6


def rows_of(predictions: object, truths: object) -> torch.Tensor:
    """Rows of a batch, shape (rows, 9), float64.

    Args:
        predictions: a `Detections` per image, or a dict of tensors: box (N, 4), label_scores (N,), label
            (N,). Boxes of dicts are `(row, col, row, col)`, as everywhere in tensors; those of records
            `(x, y, x, y)`.
        truths: an `ImageRecord` per image, or a dict of tensors: box (M, 4), label (M,).

    Raises:
        TypeError: not two lists of one entry per image, or an entry is neither. KeyError: a dict lacks a key.
        ValueError: the batch is empty, the lists differ in length, boxes, scores and labels do, or records
            and detections are not of the same image.
    """
    if not isinstance(predictions, (list, tuple)) or not isinstance(truths, (list, tuple)):
        raise TypeError(
            "expected two lists with one entry per image, got "
            f"{type(predictions).__name__} and {type(truths).__name__}."
        )
    if len(predictions) != len(truths) or not predictions:
        raise ValueError(
            f"expected one prediction per truth, at least one, got {len(predictions)} and {len(truths)}."
        )
    rows: list[list[float]] = []
    for prediction, truth in zip(predictions, truths, strict=True):
        key = _key(prediction, truth)
        rows.append([_IMAGE, *key, *_NO_BOX])
        rows += [[_DETECTION, *key, *row] for row in _detection_rows(prediction)]
        rows += [[_LESION, *key, *row] for row in _lesion_rows(truth)]
    return torch.tensor(rows, dtype=torch.float64)


def images_of(rows: torch.Tensor) -> list[Scored]:
    """The images that `rows_of` wrote; one dealt to two processes counts once where it has a record id."""
    images: dict[tuple[float, float], Scored] = {}
    values = rows.cpu()
    starts = torch.nonzero(values[:, 0] == _IMAGE).ravel().tolist()
    for start, end in pairwise([*starts, len(values)]):
        key = (float(values[start, 1]), float(values[start, 2]))
        images.setdefault(key, _image(f"{start}", values[start + 1 : end]))
    return list(images.values())


def padding_row() -> torch.Tensor:
    """A row that stands for no image, shape (9,): a process that saw none must bring something to gather."""
    return torch.full((_WIDTH,), _PADDING, dtype=torch.float64)


def _key(prediction: object, truth: object) -> list[float]:
    """96 bits that tell images apart, as two numbers exact in float64: of the record id, else random."""
    ids = {each.record_id for each in (prediction, truth) if isinstance(each, (Detections, ImageRecord))}
    if len(ids) > 1:
        raise ValueError(f"detections and record are of different images: {', '.join(sorted(ids))}.")
    digest = hashlib.sha256(ids.pop().encode("utf-8")).digest() if ids else uuid.uuid4().bytes
    return [float(int.from_bytes(digest[start : start + 6], "big")) for start in (0, 6)]


def _detection_rows(prediction: object) -> Iterator[list[float]]:
    """Box `(x, y, x, y)`, score and label of each detection."""
    if isinstance(prediction, Detections):
        columns = (prediction.boxes.tolist(), prediction.scores.tolist(), prediction.labels.tolist())
    else:
        columns = (
            _boxes(prediction, "a prediction"),
            _numbers(prediction, SCORE, "a prediction"),
            _numbers(prediction, LABEL, "a prediction"),
        )
    _check_lengths(columns)
    for box, score, label in zip(*columns, strict=True):
        yield [*box, score, label]


def _lesion_rows(truth: object) -> Iterator[list[float]]:
    if isinstance(truth, ImageRecord):
        columns = truth.boxes.tolist(), truth.labels.tolist()
    else:
        columns = _boxes(truth, "a truth"), _numbers(truth, LABEL, "a truth")
    _check_lengths(columns)
    for box, label in zip(*columns, strict=True):
        yield [*box, 0.0, label]


def _check_lengths(columns: tuple[list[Any], ...]) -> None:
    if len(set(map(len, columns))) > 1:
        counts = ", ".join(str(len(each)) for each in columns)
        raise ValueError(f"expected as many boxes as scores and labels in an image, got {counts}.")


def _boxes(entry: object, name: str) -> list[list[float]]:
    boxes = _tensor(entry, BOX, name).reshape(-1, 4).to(torch.float64)
    return rowcol_to_xyxy(boxes).tolist()


def _numbers(entry: object, key: str, name: str) -> list[float]:
    return _tensor(entry, key, name).ravel().tolist()


def _tensor(entry: object, key: str, name: str) -> torch.Tensor:
    if not isinstance(entry, Mapping):
        raise TypeError(
            f"{name} must be a dict of tensors, or Detections and ImageRecord, got {type(entry).__name__}."
        )
    if key not in entry:
        raise KeyError(f"{name} must hold {key!r}, got {', '.join(map(str, entry))}.")
    return torch.as_tensor(entry[key]).detach().cpu()


def _image(name: str, rows: torch.Tensor) -> Scored:
    found, lesions = rows[rows[:, 0] == _DETECTION], rows[rows[:, 0] == _LESION]
    detections = Detections(
        name, found[:, 3:7].numpy(), found[:, 7].numpy(), found[:, 8].to(torch.int64).numpy()
    )
    truth = tuple(Lesion(box=(row[3], row[4], row[5], row[6]), label=int(row[8])) for row in lesions.tolist())
    return ImageRecord(Path(), name, patient_id=name, width=0, height=0, lesions=truth), detections
