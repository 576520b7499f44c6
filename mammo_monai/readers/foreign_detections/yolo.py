"""YOLO's predictions: one text file per image, a line per mark, `class x y width height confidence`.

Centre and size are shares of the image, so the size that the network saw does not matter; they leave as
corners, in shares. Six numbers are a box, an even number from eight a polygon with its confidence. Refused:
lines without confidence (labels), with a track's id, and shares far outside the image (pixels). Keypoints
cannot be told from a polygon: files of pose models are not for this reader.

Source: Ultralytics, `Results.save_txt`, which adds to a file that is there, so a second run doubles marks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.annotated import name_below
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.annotations.yolo import is_yolo
from mammo_monai.readers.annotations.yolo_names import ClassNames
from mammo_monai.readers.folder.files import files_below
from mammo_monai.readers.foreign_detections.marks import (
    WHOLE_IMAGE,
    ForeignImage,
    ForeignMark,
    ForeignMarks,
    checked_mark,
)

_BOX, _TRACKED_BOX, _LEAST_POLYGON = 6, 7, 8
_MOST_SHARE = 2.0  # a box may overhang; what is larger is in pixels


def read_yolo_predictions(folder: Path, types: LesionTypes) -> ForeignMarks:
    """The marks of a folder of text files, by image; an image without a file may be one without a mark.

    Class names stand in classes.txt or data.yaml, as beside labels.

    Raises:
        ManifestError: no such folder, no text file in it, or one that cannot be read.
    """
    if folder.is_file():
        raise ManifestError(f"{folder}: expected the folder of YOLO's text files (labels/), got a file.")
    paths = [path for path in files_below(folder) if is_yolo(path)]
    if not paths:
        raise ManifestError(
            f"{folder}: expected a text file per image, as save_txt=True save_conf=True writes them, found "
            "none. Name the folder labels/ of the run."
        )
    names, digest, images = ClassNames(folder), hashlib.sha256(), []
    for path in paths:
        raw = _bytes(path)
        digest.update(f"{hashlib.sha256(raw).hexdigest()}  {name_below(path, folder)}\n".encode())
        images.append(_image(path, raw, folder, names, types))
    return ForeignMarks(images, ((folder.resolve().name, digest.hexdigest()),))


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise ManifestError(f"{path}: expected a text file, found a pipe or a link that leads nowhere.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}.") from error


def _image(path: Path, raw: bytes, folder: Path, names: ClassNames, types: LesionTypes) -> ForeignImage:
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: expected YOLO's predictions, found no UTF-8 text: {error}.") from error
    rows = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    return ForeignImage(
        names=(name_below(path, folder),),
        source=str(path),
        unit="line",
        n_marks=len(rows),
        read=partial(_marks, path, rows, names, types),
        size=WHOLE_IMAGE,
    )


def _marks(
    path: Path, rows: Sequence[tuple[int, Sequence[str]]], names: ClassNames, types: LesionTypes
) -> list[ForeignMark]:
    own = names.of(path.parent)
    return [_mark(f"{path}, line {number}", number, cells, own, types) for number, cells in rows]


def _mark(
    where: str, number: int, cells: Sequence[str], names: Mapping[int, str], types: LesionTypes
) -> ForeignMark:
    _check_length(where, cells)
    values = [_number(cell) for cell in cells]
    index, shares, score = values[0], values[1:-1], values[-1]
    if not isinstance(index, float) or not index.is_integer() or index < 0:
        raise ManifestError(f"{where}: expected a class number first, got {cells[0]!r:.40}.")
    if any(isinstance(each, float) and abs(each) > _MOST_SHARE for each in shares):
        raise ManifestError(
            f"{where}: expected shares of the image from 0 to 1, got {' '.join(cells)!r:.80}. Are they "
            "pixels? A table with pixels goes through `mammo-monai detections csv`."
        )
    kind = _type(where, int(index), names, types)
    corners = _corners(shares) if all(isinstance(each, float) for each in shares) else shares[:4]
    return checked_mark(corners, score, kind, where, number)


def _check_length(where: str, cells: Sequence[str]) -> None:
    n_cells = len(cells)
    if n_cells == _BOX or (n_cells >= _LEAST_POLYGON and n_cells % 2 == 0):
        return
    if n_cells == _BOX - 1 or (n_cells > _LEAST_POLYGON and n_cells % 2):
        reason = "there is no confidence. Are they labels? Predict again with save_conf=True (--save-conf)"
    elif n_cells == _TRACKED_BOX:
        reason = "a seventh number is a track's id, or it is a polygon without confidence. Predict, not track"
    else:
        reason = f"got {n_cells} values. Is it a file of predictions, and whole?"
    raise ManifestError(
        f"{where}: expected class, x, y, width, height and confidence, but {reason.removesuffix('?')}"
        f"{'?' if reason.endswith('?') else '.'}"
    )


def _number(cell: str) -> Any:
    """A number; other text stays as it is, for the message."""
    try:
        return cell if "_" in cell else float(cell)
    except ValueError:
        return cell


def _type(where: str, number: int, names: Mapping[int, str], types: LesionTypes) -> str | None:
    if names and number not in names:
        raise ManifestError(
            f"{where}: class {number} is none of the {len(names)} class names. Give this model's classes.txt."
        )
    return types.type_of(names[number]) if names else types.type_of_number(number)


def _corners(shares: Sequence[float]) -> Sequence[float]:
    """Of centre and size, or around the points of a polygon."""
    if len(shares) == _BOX - 2:
        x, y, width, height = shares
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])
