"""One image's entry in a file of detections, whatever the file's format: written, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.geometry.boxes import check_boxes
from mammo_monai.records import MASS_LABEL, Detections
from mammo_monai.schema.fields import (
    Json,
    list_of_boxes_of_numbers,
    list_of_class_indices,
    list_of_finite_numbers,
    list_of_numbers_from_0_to_1,
    list_of_texts,
    number_from_0_to_1,
    read_field,
    string,
    text_,
)
from mammo_monai.words import counted

DETECTIONS_SCHEMA = "mammo-monai/detections/1"
DetectionsFormat = Literal["json", "jsonl", "parquet"]


def detections_format(path: Path) -> DetectionsFormat:
    """How a file of detections is written, by its name: `.jsonl`, `.parquet` (a folder), else JSON.

    >>> detections_format(Path("runs/found.jsonl")), detections_format(Path("runs/found"))
    ('jsonl', 'json')
    """
    suffix = Path(path).suffix.lower()
    return "jsonl" if suffix == ".jsonl" else "parquet" if suffix == ".parquet" else "json"


def model_of(content: Json) -> Json:
    """The description of the model in a file's head; one that is no object becomes a name, null is none.

    >>> model_of({"model": "ours"}), model_of({"model": None})
    ({'name': 'ours'}, {})
    """
    model = content.get("model")
    if model is None:
        return {}
    return model if isinstance(model, dict) else {"name": str(model)}


def row_of(path: Path, detections: Detections) -> dict[str, object]:
    """An image's entry as JSON values; what an image does not have (probabilities …) is left out.

    Args:
        path: of the file to write, for messages.

    Raises:
        ManifestError: an image's score is not a number from 0 to 1.

    >>> row_of(Path("d.json"), Detections("a1"))
    {'image': None, 'record_id': 'a1', 'boxes': [], 'scores': [], 'labels': []}
    """
    return {
        "image": str(detections.image) if detections.image is not None else None,
        "record_id": detections.record_id,
        "boxes": np.asarray(detections.boxes, dtype=float).tolist(),
        "scores": np.asarray(detections.scores, dtype=float).tolist(),
        "labels": np.asarray(detections.labels, dtype=int).tolist(),
        **_written_probabilities(detections),
        **_written_image_score(path, detections),
        **_written_checks(detections),
    }


def detections_of(where: str, item: object) -> Detections:
    """An image's detections from its entry.

    Args:
        where: file and row, for messages.

    Raises:
        ManifestError: missing or wrong fields, lists of different lengths, scores that are not finite
            numbers, probabilities or an image's score outside 0 to 1.
    """
    if not isinstance(item, dict):
        raise ManifestError(
            f"{where}: expected an object with record_id, boxes, scores, got {type(item).__name__}."
        )
    where = f"{where} ({read_field(where, item, 'record_id', text_)})"
    try:
        boxes = check_boxes(read_field(where, item, "boxes", list_of_boxes_of_numbers), allow_empty=True)
    except GeometryError as error:
        raise ManifestError(f"{where}: boxes: {error}") from error
    scores = np.array(read_field(where, item, "scores", list_of_finite_numbers), dtype=np.float64)
    labels = np.array(
        read_field(where, item, "labels", list_of_class_indices, [MASS_LABEL] * len(boxes)), dtype=np.int64
    )
    if not len(boxes) == len(scores) == len(labels):
        raise ManifestError(
            f"{where}: expected one score and one label per box, got {counted(len(boxes), 'box')}, "
            f"{counted(len(scores), 'score')}, {counted(len(labels), 'label')}."
        )
    image = read_field(where, item, "image", string, None)
    return Detections(
        item["record_id"],
        boxes,
        scores,
        labels,
        Path(image) if image else None,
        _probabilities(where, item, len(scores)),
        read_field(where, item, "image_score", number_from_0_to_1, None),
        tuple(read_field(where, item, "warnings", list_of_texts, [])),
        read_field(where, item, "typicality", number_from_0_to_1, None),
    )


def _probabilities(where: str, item: Json, n_scores: int) -> NDArray[np.float64] | None:
    values: list[float] | None = read_field(where, item, "probabilities", list_of_numbers_from_0_to_1, None)
    if values is None:
        return None
    if len(values) != n_scores:
        raise ManifestError(
            f"{where}: expected one probability per score or no list, "
            f"got {counted(len(values), 'probability')} for {counted(n_scores, 'score')}."
        )
    return np.array(values, dtype=np.float64)


def _written_probabilities(detections: Detections) -> Json:
    values = detections.probabilities
    return {} if values is None else {"probabilities": np.asarray(values, dtype=float).tolist()}


def _written_checks(detections: Detections) -> Json:
    typicality = detections.typicality
    return {
        **({"warnings": list(detections.warnings)} if detections.warnings else {}),
        **({"typicality": float(typicality)} if typicality is not None else {}),
    }


def _written_image_score(path: Path, detections: Detections) -> Json:
    if detections.image_score is None:
        return {}
    where = f"{path}, record {detections.record_id}"
    given = {"image_score": float(detections.image_score)}
    return {"image_score": read_field(where, given, "image_score", number_from_0_to_1)}
