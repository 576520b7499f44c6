"""Detections as JSON Lines: the model's description in the first line, then one image a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from mammo_monai.errors import ManifestError
from mammo_monai.files import atomic_path
from mammo_monai.records import Detections
from mammo_monai.schema.detection_rows import DETECTIONS_SCHEMA, detections_of, model_of, row_of
from mammo_monai.schema.fields import Json
from mammo_monai.schema.json_text import json_value


def write_lines(path: Path, detections: Iterable[Detections], model: Json) -> None:
    """Writes a .jsonl file as the detections come, so that it holds one image in memory; whole or not at all.

    Raises:
        ManifestError: an image's score is not a number from 0 to 1; nothing is written.
        ValueError: a number is NaN or infinite; nothing is written.
        OSError: the file cannot be written; what was there stays.
    """
    with atomic_path(path) as part, part.open("wb") as stream:
        stream.write(line_of({"schema": DETECTIONS_SCHEMA, "model": dict(model)}))
        for each in detections:
            try:
                line = line_of(row_of(path, each))
            except ValueError as error:
                raise ValueError(
                    f"could not write {path}, record {each.record_id}: {error}. "
                    "Undefined figures are null in JSON."
                ) from error
            stream.write(line)


def line_of(content: Json) -> bytes:
    """One JSON object as a line in UTF-8.

    Raises:
        ValueError: a number is NaN or infinite.

    >>> line_of({"a": 1})
    b'{"a": 1}\\n'
    """
    return json.dumps(content, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def iter_lines(path: Path) -> Iterator[Detections]:
    """The images of a .jsonl file, one at a time.

    Raises:
        ManifestError: no such file, another schema, or a line that breaks the format; the line is named.
    """
    with _opened(path) as stream:
        _header(path, stream)
        for number, line in enumerate(stream, start=2):
            yield detections_of(f"{path}, line {number}", _content(path, number, line))


def lines_model(path: Path) -> Json:
    """The model's description in the first line of a .jsonl file.

    Raises:
        ManifestError: no such file, or another schema.
    """
    with _opened(path) as stream:
        return _header(path, stream)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise ManifestError(
            f"{path}: no such file; expected JSON Lines of schema {DETECTIONS_SCHEMA}."
        ) from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}.") from error


def _header(path: Path, stream: BinaryIO) -> Json:
    content = _content(path, 1, stream.readline())
    found = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if not isinstance(content, dict) or found != DETECTIONS_SCHEMA:
        raise ManifestError(
            f"{path}, line 1: expected schema {DETECTIONS_SCHEMA!r}, found {found!r}. Is this the right file?"
        )
    return model_of(content)


def _content(path: Path, number: int, line: bytes) -> object:
    if not line.endswith(b"\n"):
        raise ManifestError(
            f"{path}, line {number}: cut short: a line ends with a line break, this one does not. Copy the "
            "file again, or predict again."
        )
    try:
        return json_value(line)
    except ValueError as error:
        raise ManifestError(
            f"{path}, line {number}: expected JSON, but it cannot be read: {error}."
        ) from error
