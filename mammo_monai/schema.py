"""Reads and writes the three files: manifest.json, detections.json, metrics.json.

Boxes are as in `records`: `(x_min, y_min, x_max, y_max)`, original pixels. Every error names the file, the
row and the field. Writes are atomic.
"""

from __future__ import annotations

import enum
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.geometry.boxes import check_boxes
from mammo_monai.records import MASS_LABEL, Detections, ImageRecord, Laterality, Lesion, Split, ViewPosition

MANIFEST_SCHEMA = "mammo-monai/manifest/1"
DETECTIONS_SCHEMA = "mammo-monai/detections/1"
METRICS_SCHEMA = "mammo-monai/metrics/1"

T = TypeVar("T")
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """The three lists of a data set; `path` is where it was read from, if it was."""

    training: tuple[ImageRecord, ...] = ()
    validation: tuple[ImageRecord, ...] = ()
    test: tuple[ImageRecord, ...] = ()
    path: Path | None = None

    def images(self, split: Split | str | None = None) -> tuple[ImageRecord, ...]:
        """The records of one list, or of all three in the order training, validation, test.

        Raises:
            ManifestError: `split` is not one of the three names.
        """
        if split is None:
            return self.training + self.validation + self.test
        if str(getattr(split, "value", split)) not in [each.value for each in Split]:
            raise ManifestError(f"split must be training, validation or test, got {split!r}.")
        return getattr(self, Split(split).value)  # type: ignore[no-any-return]  # the names are the fields


@dataclass(frozen=True)
class DetectionsFile:
    """Detections per image with a description of the model that made them."""

    detections: tuple[Detections, ...]
    model: Json = field(default_factory=dict)


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`; image paths come out absolute.

    Raises:
        ManifestError: not JSON, another schema, a missing or wrong field, a box outside its image,
            a record id used twice, or no image at all.
    """
    path = Path(path)
    content = _load(path, MANIFEST_SCHEMA)
    lists: dict[str, tuple[ImageRecord, ...]] = {}
    for split in Split:
        rows = content.get(split.value, [])
        if not isinstance(rows, list):
            raise ManifestError(f"{path}: {split.value} must be a list of images, got {type(rows).__name__}.")
        lists[split.value] = tuple(_record(path, split, row, item) for row, item in enumerate(rows))
    manifest = Manifest(**lists, path=path)
    if not manifest.images():
        raise ManifestError(
            f"{path}: the manifest is empty: no image in training, validation or test. "
            "Make it again with `mammo-monai manifest`."
        )
    _reject_repeats(
        path,
        [(f"{split} row {row}", each.record_id) for split in lists for row, each in enumerate(lists[split])],
    )
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest that stock MONAI reads as a datalist; image paths become relative to its folder."""
    path = Path(path)
    content: dict[str, object] = {"schema": MANIFEST_SCHEMA}
    for split in Split:
        content[split.value] = [_item(path.parent, record) for record in manifest.images(split)]
    write_json_atomic(path, content)


def read_detections(path: Path) -> DetectionsFile:
    """The detections at `path`.

    Raises:
        ManifestError: not JSON, another schema, missing or wrong fields, scores that are not finite numbers,
            or a record id used twice.
    """
    path = Path(path)
    content = _load(path, DETECTIONS_SCHEMA)
    rows = content.get("detections")
    if not isinstance(rows, list):
        raise ManifestError(
            f"{path}: detections must be a list with one entry per image, got {type(rows).__name__}."
        )
    detections = tuple(_detections(path, row, item) for row, item in enumerate(rows))
    _reject_repeats(path, [(f"detections row {row}", each.record_id) for row, each in enumerate(detections)])
    model = content.get("model", {})
    return DetectionsFile(detections, model if isinstance(model, dict) else {"name": str(model)})


def write_detections(path: Path, detections: Sequence[Detections], model: Json) -> None:
    """Writes detections with the model's description; image paths are kept as they are."""
    rows = [
        {
            "image": str(each.image) if each.image is not None else None,
            "record_id": each.record_id,
            "boxes": np.asarray(each.boxes, dtype=float).tolist(),
            "scores": np.asarray(each.scores, dtype=float).tolist(),
            "labels": np.asarray(each.labels, dtype=int).tolist(),
        }
        for each in detections
    ]
    write_json_atomic(path, {"schema": DETECTIONS_SCHEMA, "model": dict(model), "detections": rows})


def read_metrics(path: Path) -> dict[str, Any]:
    """The metrics at `path`, as plain JSON content.

    Raises:
        ManifestError: not JSON, or another schema.
    """
    return dict(_load(Path(path), METRICS_SCHEMA))


def write_metrics(path: Path, metrics: Json) -> None:
    """Writes metrics under their schema name; NaN is refused, undefined is null."""
    write_json_atomic(
        Path(path), {"schema": METRICS_SCHEMA, **{k: v for k, v in metrics.items() if k != "schema"}}
    )


def _load(path: Path, schema: str) -> Json:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file; expected a JSON file of schema {schema}.") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{path}: expected JSON of schema {schema}, but it cannot be read: {error}."
        ) from error
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}.") from error
    found = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if found != schema:
        raise ManifestError(f"{path}: expected schema {schema!r}, found {found!r}. Is this the right file?")
    return dict(content)


def _record(path: Path, split: Split, row: int, item: object) -> ImageRecord:
    where = f"{path}, {split.value} row {row}"
    if not isinstance(item, dict):
        raise ManifestError(
            f"{where}: expected an object with image, box, label …, got {type(item).__name__}."
        )
    width, height = _get(where, item, "width", _pixel_count), _get(where, item, "height", _pixel_count)
    return ImageRecord(
        image=Path(os.path.normpath(path.parent.absolute() / _get(where, item, "image", _text))),
        record_id=_get(where, item, "record_id", _text),
        patient_id=_get(where, item, "patient_id", _text),
        width=width,
        height=height,
        lesions=_lesions(where, item, width, height),
        laterality=_get(where, item, "laterality", Laterality, None),
        view_position=_get(where, item, "view_position", ViewPosition, None),
        pixel_spacing_mm=_get(where, item, "pixel_spacing_mm", _spacing, None),
        breast_density=_get(where, item, "breast_density", _whole_number, None),
        source=_get(where, item, "source", str, ""),
    )


def _lesions(where: str, item: Json, width: int, height: int) -> tuple[Lesion, ...]:
    try:
        boxes = check_boxes(item.get("box", []), width=width, height=height)
    except GeometryError as error:
        raise ManifestError(
            f"{where}: {error} Boxes are x_min, y_min, x_max, y_max in original pixels."
        ) from error
    labels = item.get("label", [MASS_LABEL] * len(boxes))
    details = item.get("lesions", [{}] * len(boxes))
    for name, values in (("label", labels), ("lesions", details)):
        if not isinstance(values, list) or len(values) != len(boxes):
            raise ManifestError(
                f"{where}: {name} must be a list as long as box ({len(boxes)}), got {values!r:.80}."
            )
    return tuple(_lesion(where, boxes[n].tolist(), labels[n], details[n]) for n in range(len(boxes)))


def _lesion(where: str, box: Sequence[float], label: object, details: Json) -> Lesion:
    if not isinstance(details, dict):
        raise ManifestError(
            f"{where}: each entry of lesions must be an object, got {type(details).__name__}."
        )
    return Lesion(
        box=(box[0], box[1], box[2], box[3]),
        label=_get(where, {"label": label}, "label", _class_index),
        id=_get(where, details, "id", str, ""),
        type=_get(where, details, "type", str, "mass"),
        area_mm2=_get(where, details, "area_mm2", _finite_number, None),
        contour=_get(where, details, "contour", _contour, None),
        pathology=_get(where, details, "pathology", str, None),
        birads=_get(where, details, "birads", _whole_number, None),
        subtlety=_get(where, details, "subtlety", _whole_number, None),
    )


def _item(folder: Path, record: ImageRecord) -> dict[str, object]:
    return {
        "image": Path(os.path.relpath(record.image, folder)).as_posix(),
        "box": record.boxes.tolist(),
        "label": record.labels.tolist(),
        "record_id": record.record_id,
        "patient_id": record.patient_id,
        "laterality": record.laterality.value if record.laterality else None,
        "view_position": record.view_position.value if record.view_position else None,
        "pixel_spacing_mm": list(record.pixel_spacing_mm) if record.pixel_spacing_mm else None,
        "width": record.width,
        "height": record.height,
        "lesions": [_lesion_item(lesion) for lesion in record.lesions],
        "breast_density": record.breast_density,
        "source": record.source,
    }


def _lesion_item(lesion: Lesion) -> dict[str, object]:
    return {
        "id": lesion.id,
        "type": lesion.type,
        "area_mm2": lesion.area_mm2,
        "contour": [list(point) for point in lesion.contour] if lesion.contour is not None else None,
        "pathology": lesion.pathology,
        "birads": lesion.birads,
        "subtlety": lesion.subtlety,
    }


def _detections(path: Path, row: int, item: object) -> Detections:
    where = f"{path}, detections row {row}"
    if not isinstance(item, dict):
        raise ManifestError(
            f"{where}: expected an object with record_id, boxes, scores, got {type(item).__name__}."
        )
    where = f"{where} ({_get(where, item, 'record_id', _text)})"
    try:
        boxes = check_boxes(_get(where, item, "boxes", _list), allow_empty=True)
    except GeometryError as error:
        raise ManifestError(f"{where}: boxes: {error}") from error
    scores = np.array(_get(where, item, "scores", _list_of_finite_numbers), dtype=np.float64)
    labels = np.array(
        _get(where, item, "labels", _list_of_class_indices, [MASS_LABEL] * len(boxes)), dtype=np.int64
    )
    if not len(boxes) == len(scores) == len(labels):
        raise ManifestError(
            f"{where}: expected one score and one label per box, "
            f"got {len(boxes)} boxes, {len(scores)} scores, {len(labels)} labels."
        )
    image = _get(where, item, "image", str, None)
    return Detections(item["record_id"], boxes, scores, labels, Path(image) if image else None)


_REQUIRED: Any = object()


def _get(where: str, item: Json, name: str, convert: Callable[[Any], T], default: Any = _REQUIRED) -> T:
    """The converted field; `default` where it is missing or null and not required."""
    value = item.get(name)
    if value is None and default is not _REQUIRED:
        return default  # type: ignore[no-any-return]  # the caller's own default
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        is_enum = isinstance(convert, enum.EnumMeta)
        expected = (
            f"one of {', '.join(each.value for each in convert)}"  # type: ignore[attr-defined]  # an enum
            if is_enum
            else f"a {convert.__name__.strip('_').replace('_', ' ')}"
        )
        raise ManifestError(
            f"{where}: {name} must be {expected}, got {value!r:.80}. Mend the file or make it again."
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _whole_number(value: Any) -> int:
    if isinstance(value, (bool, str)) or int(value) != value:
        raise ValueError(value)
    return int(value)


def _pixel_count(value: Any) -> int:
    if _whole_number(value) < 1:
        raise ValueError(value)
    return int(value)


def _class_index(value: Any) -> int:
    if _whole_number(value) < 0:
        raise ValueError(value)
    return int(value)


def _finite_number(value: Any) -> float:
    if isinstance(value, (bool, str)) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _spacing(value: Any) -> tuple[float, float]:
    row, column = (_finite_number(each) for each in value)
    if not (row > 0 and column > 0):
        raise ValueError(value)
    return row, column


def _contour(value: Any) -> tuple[tuple[float, float], ...]:
    return tuple((_finite_number(x), _finite_number(y)) for x, y in value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _list_of_finite_numbers(value: Any) -> list[float]:
    return [_finite_number(each) for each in _list(value)]


def _list_of_class_indices(value: Any) -> list[int]:
    return [_class_index(each) for each in _list(value)]


def _reject_repeats(path: Path, entries: Sequence[tuple[str, str]]) -> None:
    first: dict[str, str] = {}
    for where, record_id in entries:
        if record_id in first:
            raise ManifestError(
                f"{path}, {where}: record_id {record_id} stands already in {first[record_id]}; "
                "each image may have one entry."
            )
        first[record_id] = where
