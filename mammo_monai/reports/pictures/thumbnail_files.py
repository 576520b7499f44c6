"""Thumbnails kept in a folder: a page made again, or a run that was stopped, decodes no image twice."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mammo_monai.files import atomic_path
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.thumbnails import PictureError, Thumbnail, load_any_image, make_thumbnail
from mammo_monai.schema.json_text import json_value

# Part of every key: another value whenever thumbnails come out otherwise.
_VERSION = 1
_SAFE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LONGEST_COMMENT = 60_000  # a JPEG segment holds 65 533 bytes


@dataclass(frozen=True)
class ThumbnailRequest:
    """An image to be shown small; `folder` holds the thumbnails, `record_id` names them."""

    path: Path | None
    record_id: str
    folder: Path
    size_px: int
    load_image: ImageLoader = load_any_image


@dataclass(frozen=True)
class StoredThumbnail:
    """A thumbnail in the folder under `name`, its bytes left there; or in `failure`, why there is none."""

    name: str = ""
    thumbnail: Thumbnail | None = None
    failure: str = ""


def stored_thumbnail(request: ThumbnailRequest) -> StoredThumbnail:
    """The thumbnail of an image, from the folder if it was made of the same file at the same size before.

    A file counts as the same while its size and time of change are. What could not be shown is tried again.

    Raises:
        OSError: the folder cannot be written.
    """
    if request.path is None:
        return StoredThumbnail(failure="no file was found for it")
    path = request.folder / _name(request, request.path)
    kept = _read(path)
    if kept is None:
        try:
            made = make_thumbnail(request.path, size_px=request.size_px, load_image=request.load_image)
        except PictureError as error:
            return StoredThumbnail(failure=str(error))
        with atomic_path(path) as part:
            part.write_bytes(_with_comment(made))
        kept = Thumbnail(b"", made.width, made.height, made.image_width, made.image_height, made.outline)
    return StoredThumbnail(path.name, kept)


def _name(request: ThumbnailRequest, path: Path) -> str:
    """Record id and a hash; a record id that is no plain word is hashed too, it may hold anything."""
    try:
        stat = path.stat()
        stamp = (stat.st_size, stat.st_mtime_ns)
    except OSError:
        stamp = (0, 0)
    key = hashlib.sha256(repr((_VERSION, request.size_px, str(path), stamp)).encode()).hexdigest()[:10]
    known = request.record_id
    if not _SAFE_ID.fullmatch(known):
        known = hashlib.sha256(known.encode()).hexdigest()[:16]
    return f"{known}-{key}.jpg"


def _with_comment(made: Thumbnail) -> bytes:
    """The JPEG with size and outline in a comment segment (ITU-T T.81, B.2.4.5) behind its first marker."""
    content = {"size": [made.image_width, made.image_height], "outline": made.outline}
    text = json.dumps(content).encode("ascii")
    if len(text) > _LONGEST_COMMENT:
        text = json.dumps({**content, "outline": []}).encode("ascii")
    return made.jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + made.jpeg[2:]


def _read(path: Path) -> Thumbnail | None:
    """Size and outline of a thumbnail in the folder, from its head; None where it is none of ours."""
    try:
        with Image.open(path) as picture:
            content = json_value(picture.info["comment"])
            width, height = (int(each) for each in content["size"])
            outline = tuple((float(x), float(y)) for x, y in content["outline"])
            return Thumbnail(b"", picture.width, picture.height, width, height, outline)
    except (OSError, ValueError, KeyError, TypeError):
        return None
