"""What a model marked, in original pixels, with its description: as JSON, JSON Lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import atomic_path
from mammo_monai.records import Detections
from mammo_monai.schema.detection_lines import iter_lines, lines_model, write_lines
from mammo_monai.schema.detection_rows import (
    DETECTIONS_SCHEMA,
    detections_format,
    detections_of,
    model_of,
    row_of,
)
from mammo_monai.schema.detection_shards import iter_shards, shards_model, write_shards
from mammo_monai.schema.fields import Json, load_json, reject_repeats


@dataclass(frozen=True)
class DetectionsFile:
    """Detections per image with a description of the model that made them."""

    detections: tuple[Detections, ...]
    model: Json = field(default_factory=dict)


def read_detections(path: Path) -> DetectionsFile:
    """The detections at `path`: a .json or .jsonl file, or a .parquet folder.

    Raises:
        ManifestError: not of its format, another schema, missing or wrong fields, scores that are not finite
            numbers, probabilities or an image's score outside 0 to 1, or a record id used twice.
    """
    path = Path(path)
    kind = detections_format(path)
    if kind == "json":
        content = _read_document(path)
    elif kind == "jsonl":
        content = DetectionsFile(tuple(iter_lines(path)), lines_model(path))
    else:
        content = DetectionsFile(tuple(iter_shards(path)), shards_model(path))
    ids = [(f"detections row {row}", each.record_id) for row, each in enumerate(content.detections)]
    reject_repeats(path, ids)
    return content


def write_detections(path: Path, detections: Iterable[Detections], model: Json) -> None:
    """Writes detections with the model's description, in the format of the name; image paths are kept.

    `probabilities` and `image_score` are written only for images that have them. The detections are taken
    one by one: an iterator's are never all in memory.

    Raises:
        ManifestError: an image's score is not a number from 0 to 1; nothing is written.
        ValueError: a number is NaN or infinite; nothing is written.
        OSError: it cannot be written.
    """
    path = Path(path)
    kind = detections_format(path)
    if kind == "json":
        _write_document(path, detections, model)
    elif kind == "jsonl":
        write_lines(path, detections, model)
    else:
        write_shards(path, detections, model)


def _read_document(path: Path) -> DetectionsFile:
    content = load_json(path, DETECTIONS_SCHEMA)
    rows = content.get("detections")
    if not isinstance(rows, list):
        raise ManifestError(
            f"{path}: detections must be a list with one entry per image, got {type(rows).__name__}."
        )
    detections = tuple(detections_of(f"{path}, detections row {row}", item) for row, item in enumerate(rows))
    return DetectionsFile(detections, model_of(content))


def _write_document(path: Path, detections: Iterable[Detections], model: Json) -> None:
    """One JSON document, written as the detections come; the same bytes as `json.dump` of the whole."""
    try:
        with atomic_path(path) as part, part.open("w", encoding="utf-8") as stream:
            head = _indented({"schema": DETECTIONS_SCHEMA, "model": dict(model)}, 0)
            stream.write(head.removesuffix("\n}") + ',\n "detections": [')
            separator = ""
            for each in detections:
                stream.write(f"{separator}\n  {_indented(row_of(path, each), 2)}")
                separator = ","
            stream.write("\n ]\n}\n" if separator else "]\n}\n")
    except ValueError as error:
        raise ValueError(f"could not write {path}: {error}. Undefined figures are null in JSON.") from error


def _indented(content: Json, depth: int) -> str:
    # No line break stands inside a JSON string, so each one is between values.
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    return text.replace("\n", "\n" + " " * depth)
