"""detections.json: what a model marked, in original pixels, with a description of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.geometry.boxes import check_boxes
from mammo_monai.records import MASS_LABEL, Detections
from mammo_monai.schema.fields import (
    Json,
    list_,
    list_of_class_indices,
    list_of_finite_numbers,
    list_of_numbers_from_0_to_1,
    load_json,
    number_from_0_to_1,
    read_field,
    reject_repeats,
    text_,
)

DETECTIONS_SCHEMA = "mammo-monai/detections/1"


@dataclass(frozen=True)
class DetectionsFile:
    """Detections per image with a description of the model that made them."""

    detections: tuple[Detections, ...]
    model: Json = field(default_factory=dict)


def read_detections(path: Path) -> DetectionsFile:
    """The detections at `path`.

    Raises:
        ManifestError: not JSON, another schema, missing or wrong fields, scores that are not finite numbers,
            probabilities or an image's score outside 0 to 1, or a record id used twice.
    """
    path = Path(path)
    content = load_json(path, DETECTIONS_SCHEMA)
    rows = content.get("detections")
    if not isinstance(rows, list):
        raise ManifestError(
            f"{path}: detections must be a list with one entry per image, got {type(rows).__name__}."
        )
    detections = tuple(_detections(path, row, item) for row, item in enumerate(rows))
    reject_repeats(path, [(f"detections row {row}", each.record_id) for row, each in enumerate(detections)])
    model = content.get("model", {})
    return DetectionsFile(detections, model if isinstance(model, dict) else {"name": str(model)})


def write_detections(path: Path, detections: Sequence[Detections], model: Json) -> None:
    """Writes detections with the model's description; image paths are kept as they are.

    `probabilities` and `image_score` are written only for images that have them.

    Raises:
        ManifestError: an image's score is not a number from 0 to 1; nothing is written.
    """
    rows = [
        {
            "image": str(each.image) if each.image is not None else None,
            "record_id": each.record_id,
            "boxes": np.asarray(each.boxes, dtype=float).tolist(),
            "scores": np.asarray(each.scores, dtype=float).tolist(),
            "labels": np.asarray(each.labels, dtype=int).tolist(),
            **_written_probabilities(each),
            **_written_image_score(path, each),
        }
        for each in detections
    ]
    write_json_atomic(path, {"schema": DETECTIONS_SCHEMA, "model": dict(model), "detections": rows})


def _detections(path: Path, row: int, item: object) -> Detections:
    where = f"{path}, detections row {row}"
    if not isinstance(item, dict):
        raise ManifestError(
            f"{where}: expected an object with record_id, boxes, scores, got {type(item).__name__}."
        )
    where = f"{where} ({read_field(where, item, 'record_id', text_)})"
    try:
        boxes = check_boxes(read_field(where, item, "boxes", list_), allow_empty=True)
    except GeometryError as error:
        raise ManifestError(f"{where}: boxes: {error}") from error
    scores = np.array(read_field(where, item, "scores", list_of_finite_numbers), dtype=np.float64)
    labels = np.array(
        read_field(where, item, "labels", list_of_class_indices, [MASS_LABEL] * len(boxes)), dtype=np.int64
    )
    if not len(boxes) == len(scores) == len(labels):
        raise ManifestError(
            f"{where}: expected one score and one label per box, "
            f"got {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels."
        )
    image = read_field(where, item, "image", str, None)
    return Detections(
        item["record_id"],
        boxes,
        scores,
        labels,
        Path(image) if image else None,
        _probabilities(where, item, len(scores)),
        read_field(where, item, "image_score", number_from_0_to_1, None),
    )


def _probabilities(where: str, item: Json, n_scores: int) -> NDArray[np.float64] | None:
    values: list[float] | None = read_field(where, item, "probabilities", list_of_numbers_from_0_to_1, None)
    if values is None:
        return None
    if len(values) != n_scores:
        raise ManifestError(
            f"{where}: expected one probability per score or no list, "
            f"got {len(values)} probabilities for {n_scores} scores."
        )
    return np.array(values, dtype=np.float64)


def _written_probabilities(detections: Detections) -> Json:
    values = detections.probabilities
    return {} if values is None else {"probabilities": np.asarray(values, dtype=float).tolist()}


def _written_image_score(path: Path, detections: Detections) -> Json:
    if detections.image_score is None:
        return {}
    where, given = f"{path}, record {detections.record_id}", {"image_score": float(detections.image_score)}
    return {"image_score": read_field(where, given, "image_score", number_from_0_to_1)}
