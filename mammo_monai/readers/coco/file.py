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
        ManifestError: not JSON, lists missing, an image without an id of its own, a category of two names, or
            annotations of which none names an image of the JSON.
    """
    content = load_coco(path)
    images = objects_in(path, content, "images")
    image_ids = image_ids_in(path, images)
    items = objects_in(path, content, "annotations")
    names = category_names(path, objects_in(path, content, "categories") if items else [])
    by_image: dict[Hashable, list[CocoAnnotation]] = defaultdict(list)
    seen: set[str] = set()
    for row, item in enumerate(items):
        image_id, annotation_id = image_ids.get(id_text(item.get("image_id"))), repr(item.get("id"))
        if image_id is not None:
            name = names.get(id_text(item.get("category_id")))
            is_repeated = "id" in item and annotation_id in seen
            by_image[image_id].append(CocoAnnotation(row, item, name, is_repeated))
        else:
            found = "the annotation's image is not in the JSON"
            audit.note("annotation-orphan", "", found, place=f"COCO annotations row {row}")
        seen.add(annotation_id)
    if items and not by_image:
        raise ManifestError(
            f"{path}: none of the {len(items)} annotations names an image of the JSON: image_id "
            f"{items[0].get('image_id')!r:.40} is no id of an image, so all images would seem normal. "
            "Export the JSON again."
        )
    return CocoFile(path, images, by_image)


def load_coco(path: Path) -> Json:
    """The object in a COCO JSON, its lists not yet looked at.

    Raises:
        ManifestError: it cannot be read, or holds no object.
    """
    try:
        content = json_value(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path}: the COCO JSON cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ManifestError(f"{path}: expected a COCO JSON, cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path}: expected an object with images, got {type(content).__name__}.")
    return content


def objects_in(path: Path, content: Json, name: str) -> list[Json]:
    """One of its lists.

    Raises:
        ManifestError: it is missing, or no list of objects.
    """
    items = content.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ManifestError(
            f"{path}: {name} must be a list of objects, as COCO has it; got {type(items).__name__}; "
            f"the file holds {', '.join(content) or 'nothing'}."
        )
    return items


def image_ids_in(path: Path, images: Sequence[Json]) -> dict[str, int | str | float]:
    """The ids as they stand in the JSON, by their texts: annotations may spell 1 as "1" or 1.0.

    Raises:
        ManifestError: an image has none, or another one's.
    """
    ids: dict[str, int | str | float] = {}
    for row, item in enumerate(images):
        image_id, text = item.get("id"), id_text(item.get("id"))
        if not isinstance(image_id, int | str | float) or text in ids:
            raise ManifestError(
                f"{path}, images row {row}: expected an id of its own, got {image_id!r}: "
                "it would be unclear whose boxes are whose."
            )
        ids[text] = image_id
    return ids


def category_names(path: Path, categories: Sequence[Json]) -> dict[str, str]:
    """Names by the text of their id; a category without a name is none.

    Raises:
        ManifestError: an id stands for two names.
    """
    names: dict[str, str] = {}
    for item in categories:
        name, text = item.get("name"), id_text(item.get("id"))
        if name is None or not str(name).strip():
            continue
        if names.setdefault(text, str(name)) != str(name):
            raise ManifestError(
                f"{path}: category id {item.get('id')!r} stands for {names[text]!r:.40} and for "
                f"{str(name)!r:.40}: it would be unclear what its boxes are. Export the JSON again."
            )
    return names


def id_text(value: Any) -> str:
    """One text for the spellings of an id.

    >>> id_text(7), id_text("7"), id_text(7.0), id_text(None)
    ('7', '7', '7', 'None')
    """
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)
