"""COCO results: a list of `image_id`, `category_id`, `bbox`, `score`, or an object with such annotations.

Boxes come as x, y, width, height in pixels of the image that was marked, and leave as corners; where there is
no `bbox`, the polygons of `segmentation` give it. Refused: truth, which has no scores; run-length masks
without `bbox`; ids of images and categories that nothing explains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.readers.annotations.annotated import bare_name
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.annotations.names import plain_path
from mammo_monai.readers.coco.file import category_names, id_text, image_ids_in, load_coco, objects_in
from mammo_monai.readers.foreign_detections.marks import (
    ForeignImage,
    ForeignMark,
    ForeignMarks,
    checked_mark,
    finite,
)
from mammo_monai.schema.json_text import read_json

_SHOWN = 5
Json = Mapping[str, Any]


@dataclass(frozen=True)
class _Listing:
    """What a COCO file says of its images and categories, by the text of their ids."""

    path: Path
    images: Mapping[str, Json] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)


def read_coco_results(path: Path, types: LesionTypes, annotations: Path | None = None) -> ForeignMarks:
    """The marks of COCO results by image.

    Args:
        annotations: the COCO file of the images that were marked. Without it `image_id` must be the name of
            a file, as some toolkits have it, or each row must have a `file_name`.

    Raises:
        ManifestError: see the first lines of this file.
    """
    content = read_json(path, "COCO results")
    rows = _rows(path, content)
    own = path if isinstance(content, dict) and content.get("images") else None
    holder = annotations or own
    listing = _listing(holder) if holder else None
    by_image: dict[str, list[tuple[int, Json]]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_image[_image_key(path, number, row, listing)].append((number, row))
    _refuse_bare_numbers(path, rows, types, listing)
    images = [_image(path, key, found, types, listing) for key, found in by_image.items()]
    if listing is not None:
        empty = [key for key in listing.images if key not in by_image]
        images += [_image(path, key, (), types, listing) for key in empty]
    files = tuple((each.name, sha256_of(each)) for each in (path, annotations) if each)
    return ForeignMarks(images, files, lists_all=listing is not None)


def _rows(path: Path, content: Any) -> Sequence[Json]:
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        held = f"the keys {', '.join(content) or 'none'}" if isinstance(content, dict) else "something else"
        raise ManifestError(
            f"{path}: expected COCO results, a list of objects with image_id, category_id, bbox and score, "
            f"or an object with such annotations; found {held:.200}. MMDetection writes them with "
            "CocoMetric(outfile_prefix=…), as .bbox.json."
        )
    return rows


def _listing(path: Path) -> _Listing:
    content = load_coco(path)
    items = objects_in(path, content, "images")
    ids = image_ids_in(path, items)
    categories = objects_in(path, content, "categories") if content.get("categories") else []
    return _Listing(path, dict(zip(ids, items, strict=True)), category_names(path, categories))


def _image_key(path: Path, number: int, row: Json, listing: _Listing | None) -> str:
    """The text of the image's id; without a list of images it must be a name. Truth is refused here."""
    image_id = row.get("image_id")
    if "score" not in row:
        raise ManifestError(
            f"{path}, row {number}: expected a score, got the keys {', '.join(row)}. Is it the truth, not "
            "what a model marked?"
        )
    if not isinstance(image_id, int | str | float) or isinstance(image_id, bool):
        raise ManifestError(f"{path}, row {number}: expected an image_id, got {image_id!r:.80}.")
    if listing is None and not isinstance(image_id, str) and not _file_name(row):
        raise ManifestError(
            f"{path}, row {number}: image_id {image_id!r} is a number, which names no file by itself. Give "
            "the COCO file with the images that were marked: --annotations FILE."
        )
    return id_text(image_id)


def _file_name(row: Json) -> str:
    name = row.get("file_name")
    return name if isinstance(name, str) else ""


def _image(
    path: Path,
    key: str,
    rows: Sequence[tuple[int, Json]],
    types: LesionTypes,
    listing: _Listing | None,
) -> ForeignImage:
    item = listing.images.get(key, {}) if listing is not None else {}
    listed = _file_name(item)
    own = next((name for _, row in rows if (name := _file_name(row))), "")
    if listed and own and _stem(listed) != _stem(own):
        where = listing.path if listing is not None else path
        raise ManifestError(
            f"{path}, row {rows[0][0]}: image_id {key} is {listed} in {where}, but the row says {own}. Were "
            "the ids made of file names? Give the COCO file that the toolkit was run on."
        )
    is_name = any(isinstance(row.get("image_id"), str) for _, row in rows)
    unlisted = f"image_id {key} (not in {listing.path.name})" if listing is not None else key
    name = listed or own or (key if is_name else unlisted)
    width, height = finite(item.get("width")), finite(item.get("height"))
    return ForeignImage(
        names=(name,),
        source=str(path),
        unit="row",
        n_marks=len(rows),
        read=partial(_marks, path, rows, types, listing),
        size=(width, height) if width and height else None,
    )


def _stem(name: str) -> str:
    return bare_name(PurePosixPath(plain_path(name)).name).casefold()


def _marks(
    path: Path, rows: Sequence[tuple[int, Json]], types: LesionTypes, listing: _Listing | None
) -> list[ForeignMark]:
    return [_mark(f"{path}, row {number}", number, row, types, listing) for number, row in rows]


def _mark(where: str, number: int, row: Json, types: LesionTypes, listing: _Listing | None) -> ForeignMark:
    return checked_mark(_corners(where, row), row["score"], _type(where, row, types, listing), where, number)


def _corners(where: str, row: Json) -> Sequence[Any]:
    bbox = row.get("bbox")
    if bbox is None:
        return _polygon_corners(where, row.get("segmentation"))
    numbers = [finite(each) for each in bbox] if isinstance(bbox, list) and len(bbox) == 4 else [None]
    if None in numbers or min(numbers[2:]) < 0:  # type: ignore[type-var, operator]  # numbers, by then
        raise ManifestError(
            f"{where}: bbox must be x, y, width, height, four finite numbers, got {bbox!r:.120}."
        )
    x, y, width, height = numbers
    return x, y, x + width, y + height  # type: ignore[operator]  # numbers, see above


def _polygon_corners(where: str, segmentation: Any) -> Sequence[Any]:
    polygons = segmentation if isinstance(segmentation, list) else []
    numbers = [each for polygon in polygons if isinstance(polygon, list) for each in polygon]
    are_points = all(isinstance(each, list) and len(each) >= 6 and len(each) % 2 == 0 for each in polygons)
    if not polygons or not are_points or any(finite(each) is None for each in numbers):
        held = "a run-length mask" if isinstance(segmentation, dict) else f"{segmentation!r:.80}"
        raise ManifestError(
            f"{where}: expected bbox, or polygons in segmentation to take it from; found no bbox, and {held}."
            " Have the toolkit write bbox too."
        )
    columns, lines = numbers[::2], numbers[1::2]
    return min(columns), min(lines), max(columns), max(lines)


def _type(where: str, row: Json, types: LesionTypes, listing: _Listing | None) -> str | None:
    if row.get("category_id") is None:
        raise ManifestError(f"{where}: expected a category_id, got the keys {', '.join(row)}.")
    key = id_text(row["category_id"])
    names = listing.categories if listing is not None else {}
    if key in names:
        return types.type_of(names[key])
    if names and listing is not None and not types.explains(key):
        known = ", ".join(f"{each} {name}" for each, name in list(names.items())[:_SHOWN])
        raise ManifestError(
            f"{where}: category_id {key} is none of the categories of {listing.path} ({known}). Some "
            f"toolkits count from 0: say what it means, --class {key}=mass."
        )
    return types.type_of(key)


def _refuse_bare_numbers(
    path: Path, rows: Sequence[Json], types: LesionTypes, listing: _Listing | None
) -> None:
    """Several categories without a name: nobody can say which holds the masses."""
    if listing is not None and listing.categories:
        return
    keys = dict.fromkeys(id_text(row["category_id"]) for row in rows if row.get("category_id") is not None)
    bare = [key for key in keys if not types.explains(key)]
    if len(keys) > 1 and bare:
        raise ManifestError(
            f"{path}: expected names for the categories {', '.join(list(keys)[:_SHOWN])}. Give the COCO file "
            f"that names them, --annotations FILE, or say --class {bare[0]}=mass --class OTHER=ignore."
        )
