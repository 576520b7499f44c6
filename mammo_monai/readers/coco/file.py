"""Reads and checks the JSON of a COCO data set: images, and annotations by image with their categories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.schema.json_text import json_value

Json = Mapping[str, Any]


@dataclass(frozen=True)
class CocoAnnotation:
    """One annotation as it stands in the JSON.

    Attributes:
        row: place in the list, from 0.
        category: the category's name; None where category_id names none.
        is_repeated: its id stood on an annotation before.
    """

    row: int
    item: Json
    category: str | None
    is_repeated: bool


@dataclass(frozen=True)
class CocoFile:
    """The content of a COCO JSON; `annotations` by the image's id."""

    path: Path
    images: Sequence[Json]
    annotations: Mapping[Hashable, Sequence[CocoAnnotation]]


def read_coco_file(path: Path, audit: Audit) -> CocoFile:
    """The images and annotations of a COCO JSON.

    Args:
        audit: gets the annotations whose image is not in the JSON.

    Raises:
        ManifestError: not JSON, lists missing, or an image without an id of its own.
    """
    content = _load(path)
    images = _objects(path, content, "images")
    image_ids = _image_ids(path, images)
    items = _objects(path, content, "annotations")
    categories = _objects(path, content, "categories") if items else []
    names = {repr(item.get("id")): str(item.get("name", "")) for item in categories}
    by_image: dict[Hashable, list[CocoAnnotation]] = defaultdict(list)
    seen: set[str] = set()
    for row, item in enumerate(items):
        image_id, annotation_id = item.get("image_id"), repr(item.get("id"))
        if isinstance(image_id, int | str) and image_id in image_ids:
            name = names.get(repr(item.get("category_id")))
            is_repeated = "id" in item and annotation_id in seen
            by_image[image_id].append(CocoAnnotation(row, item, name, is_repeated))
        else:
            found = "the annotation's image is not in the JSON"
            audit.note("annotation-orphan", "", found, place=f"COCO annotations row {row}")
        seen.add(annotation_id)
    return CocoFile(path, images, by_image)


def _load(path: Path) -> Json:
    try:
        content = json_value(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path}: the COCO JSON cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ManifestError(f"{path}: expected a COCO JSON, cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path}: expected an object with images, got {type(content).__name__}.")
    return content


def _objects(path: Path, content: Json, name: str) -> list[Json]:
    items = content.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ManifestError(
            f"{path}: {name} must be a list of objects, as COCO has it; got {type(items).__name__}; "
            f"the file holds {', '.join(content) or 'nothing'}."
        )
    return items


def _image_ids(path: Path, images: Sequence[Json]) -> set[int | str]:
    ids: set[int | str] = set()
    for row, item in enumerate(images):
        image_id = item.get("id")
        if not isinstance(image_id, int | str) or image_id in ids:
            raise ManifestError(
                f"{path}, images row {row}: expected an id of its own, got {image_id!r}: "
                "it would be unclear whose boxes are whose."
            )
        ids.add(image_id)
    return ids
