"""A prepared image: one 16-bit grey PNG that carries its recipe, source and geometry in a text chunk.

The PNG is plain and opens everywhere. It is written here rather than by Pillow because Pillow tries five
filters on every row: 53 ms for 600 × 1945 px of film where one filter (Up) and zlib's run-length strategy
take 12 ms, in a file 4 % smaller (scripts/bench/bench_prepare.py).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.files import atomic_path
from mammo_monai.geometry import ImageFrame
from mammo_monai.schema.json_text import json_value

KEYWORD = b"mammo-monai"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_TEXT_AT = len(_SIGNATURE) + 25  # IHDR is 25 bytes long
_UP = 2  # filter type: the difference to the row above


@dataclass(frozen=True)
class Preparation:
    """What a prepared image remembers; nothing of it names a patient.

    Attributes:
        key: hash of source, recipe and whatever else decided the pixels, 64 hex digits.
        recipe: `Recipe.as_json`.
        source_sha256: of the original file. source_stamp: hash of its size and time of change.
        frame: from the original image to this one.
        laterality, view_position, pixel_spacing_mm: as the original file says; None where it does not.
    """

    key: str
    recipe: Mapping[str, Any]
    record_id: str
    source_sha256: str
    source_stamp: str
    frame: ImageFrame
    laterality: str | None = None
    view_position: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None


def write_prepared(path: Path, pixels: NDArray[np.uint16], about: Preparation) -> int:
    """Writes a prepared image through a temporary file; returns its size in bytes.

    Args:
        pixels: shape (H, W); 65535 stands for 1.0.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left.
    """
    content = _png(pixels, _text(about))
    with atomic_path(path) as part:
        part.write_bytes(content)
    return len(content)


def read_prepared(path: Path) -> tuple[NDArray[np.uint16], Preparation]:
    """Pixels, shape (H, W), and what the image remembers.

    Raises:
        ManifestError: no such file, no prepared image, damaged, or of another size than its frame.
    """
    about = read_preparation(path)
    try:
        with Image.open(path) as picture:
            pixels = np.array(picture, dtype=np.uint16)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _damaged(path, str(error)) from error
    if pixels.shape[::-1] != about.frame.size:
        raise _damaged(path, f"{pixels.shape[::-1]} px where its frame ends in {about.frame.size}")
    return pixels, about


def read_preparation(path: Path) -> Preparation:
    """What a prepared image remembers, from its first bytes; the file's end is looked at too.

    Raises:
        ManifestError: no such file, no prepared image, or cut short.
    """
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(_TEXT_AT + 8)
            length = int.from_bytes(head[_TEXT_AT : _TEXT_AT + 4], "big")
            is_ours = head.startswith(_SIGNATURE) and head[_TEXT_AT + 4 :] == b"tEXt" and length < 1 << 20
            text = stream.read(length) if is_ours else b""
            stream.seek(-min(len(_END), stream.seek(0, 2)), 2)
            is_whole = stream.read() == _END
    except FileNotFoundError:
        raise ManifestError(
            f"{path}: no such prepared image. Copy the whole prepared folder, or run mammo-monai prepare "
            "again."
        ) from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror or error}.") from error
    keyword, _, content = text.partition(b"\0")
    if keyword != KEYWORD or not is_whole:
        raise _damaged(path, "no prepared image, or one that is cut short")
    try:
        return _preparation(json_value(content))
    except (ValueError, KeyError, TypeError, GeometryError) as error:
        raise _damaged(path, f"its description cannot be read ({error})") from error


def prepared_frame(path: Path) -> ImageFrame | None:
    """The way from the original pixels to those of a prepared image; None for any other file.

    Whoever draws boxes of the original image on a file needs it: `frame.to_model(boxes)`.

    Raises:
        ManifestError: a prepared image that is damaged. OSError: no such file.
    """
    with Path(path).open("rb") as stream:
        head = stream.read(_TEXT_AT + 8 + len(KEYWORD))
    return read_preparation(path).frame if head[_TEXT_AT + 4 :] == b"tEXt" + KEYWORD else None


def _damaged(path: Path, reason: str) -> ManifestError:
    return ManifestError(
        f"{path}: expected an image made by mammo-monai prepare, got {reason}. Delete the file and run "
        "mammo-monai prepare again, or copy the prepared folder again."
    )


def _text(about: Preparation) -> bytes:
    content = {**asdict(about), "frame": about.frame.as_json()}
    return KEYWORD + b"\0" + json.dumps(content).encode("ascii")


def _preparation(content: Mapping[str, Any]) -> Preparation:
    frame = ImageFrame.from_json(content["frame"])
    spacing = content["pixel_spacing_mm"]
    spacing_mm = None if spacing is None else (float(spacing[0]), float(spacing[1]))
    return Preparation(**{**content, "frame": frame, "pixel_spacing_mm": spacing_mm})


def _png(pixels: NDArray[np.uint16], text: bytes) -> bytes:
    """A PNG of 16-bit grey (ISO/IEC 15948), every row as its difference to the row above."""
    height, width = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8)
    filtered = np.empty((height, 1 + 2 * width), dtype=np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    # Film noise fills the low bytes and has no repeats worth searching for: run lengths take the background.
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    data = deflate.compress(filtered.data) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"tEXt", text) + _chunk(b"IDAT", data)
    return _SIGNATURE + chunks + _END


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
