"""Preparing one image: its key, its file, or why it cannot be prepared. Runs in worker processes."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mammo_monai.data.samples import sample_of
from mammo_monai.errors import MammoError, ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.records import ImageRecord
from mammo_monai.transforms import PrepareMammogramd, Recipe
from mammo_monai.transforms.load import load_image
from mammo_monai.transforms.prepared_file import Preparation, read_preparation, write_prepared

logger = logging.getLogger(__name__)
KEY_DIGITS = 16
UNREADABLE = "prepare-unreadable"


@dataclass(frozen=True)
class Prepared:
    """A prepared image: its file, full key and size."""

    record_id: str
    path: Path
    key: str
    n_bytes: int


@dataclass(frozen=True)
class Failed:
    """An image that cannot be prepared.

    Attributes:
        found: what is wrong, without a path: for audit.csv. reason: with it, for people.
    """

    record_id: str
    found: str
    reason: str
    code: str = UNREADABLE


@dataclass(frozen=True)
class Task:
    """One image to prepare; `sha256` of its file where it is known."""

    record: ImageRecord
    folder: Path
    recipe: Recipe
    sha256: str | None = None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Work that runs in many processes at once takes one thread in each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def prepare_image(task: Task) -> Prepared | Failed:
    """Writes the prepared copy of one image, unless it is there.

    Raises:
        OSError: the copy cannot be written; whatever is wrong with the original is a `Failed`.
    """
    record = task.record
    try:
        stamp = source_stamp(record.image)
        sha256 = task.sha256 or sha256_of(record.image)
        key = preparation_key(record, task.recipe, sha256)
        path = prepared_path(task.folder, record.record_id, key)
        if (kept := prepared_already(path, record.record_id, key)) is not None:
            return kept
        loaded = load_image(record.image)
        data = sample_of(replace(record, lesions=()))
        sample = PrepareMammogramd(task.recipe).sixteen_bit(data, loaded)
        if source_stamp(record.image) != stamp:
            raise ManifestError("the file changed while it was read. Run again once it is copied.")
    except Exception as error:  # whatever a file makes a decoder or transform raise belongs to this image
        return _failed(record, error)
    about = Preparation(
        key=key,
        recipe=task.recipe.as_json(),
        record_id=record.record_id,
        source_sha256=sha256,
        source_stamp=stamp,
        frame=sample["frame"],
        laterality=loaded.laterality,
        view_position=loaded.view_position,
        pixel_spacing_mm=loaded.pixel_spacing_mm,
    )
    return Prepared(record.record_id, path, key, write_prepared(path, sample["image"][0].numpy(), about))


def preparation_key(record: ImageRecord, recipe: Recipe, sha256: str) -> str:
    """Hash of all that decides a prepared image, 64 hex digits.

    Besides the file and the recipe: the record's size and laterality (mirrors unclear images), its view where
    the pectoral muscle is removed, its spacing where that sets the size. A corrected record is prepared anew.
    """
    decisive: dict[str, Any] = {
        "source": sha256,
        "recipe": recipe.as_json(),
        "laterality": record.laterality,
        "size": [record.width, record.height],
    }
    if recipe.remove_pectoral:
        decisive["view_position"] = record.view_position
    if recipe.preset == "fixed_spacing":
        decisive["pixel_spacing_mm"] = record.pixel_spacing_mm
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def prepared_path(folder: Path, record_id: str, key: str) -> Path:
    """Where a prepared image stands in its folder."""
    return folder / f"{file_stem(record_id)}-{key[:KEY_DIGITS]}.png"


def file_stem(record_id: str) -> str:
    """The record id where it can be part of a file name, else 16 digits of its hash.

    >>> file_stem("00000000000000ab")
    '00000000000000ab'
    >>> file_stem("../film 1")
    'c01225914b3d5b4a'
    """
    if re.fullmatch(r"[0-9a-z]{1,64}", record_id):
        return record_id
    return hashlib.sha256(record_id.encode()).hexdigest()[:16]


def prepared_already(path: Path, record_id: str, key: str) -> Prepared | None:
    """The prepared image at `path` if it is whole and has that key; None if it must be made."""
    if not path.exists():
        return None
    try:
        about = read_preparation(path)
    except ManifestError as error:
        logger.warning("prepared again: %s", error)
        return None
    if (about.key, about.record_id) != (key, record_id):
        return None
    return Prepared(record_id, path, key, path.stat().st_size)


def source_stamp(path: Path) -> str:
    """Hash of a file's size and time of change, which spares reading it again; the time stays private.

    Raises:
        OSError: no such file. ManifestError: a folder, or a pipe or device, which could be read for ever.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ManifestError(f"{path}: expected an image file, found a folder, pipe or device. Leave it out.")
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:KEY_DIGITS]


def known_sha256(record: ImageRecord, copies: Mapping[str, list[Path]]) -> str | None:
    """Hash of a record's file where it can be told without reading the file; None where it cannot.

    From the manifest if the size agrees, else from an earlier copy if size and time of change do.

    Args:
        copies: prepared images in the folder, by `file_stem`.
    """
    with suppress(OSError):
        if record.sha256 and record.file_size == record.image.stat().st_size:
            return record.sha256
        for path in copies.get(file_stem(record.record_id), ()):
            with suppress(ManifestError):
                about = read_preparation(path)
                if (about.record_id, about.source_stamp) == (record.record_id, source_stamp(record.image)):
                    return about.source_sha256
    return None


def _failed(record: ImageRecord, error: Exception) -> Failed:
    reason = " ".join(_reason(error).split())
    found = reason
    for name in (str(record.image), str(record.image.parent), record.image.name):
        found = found.replace(name, "the file") if len(name) > 1 else found
    where = "" if str(record.image) in reason else f"{record.image}: "
    return Failed(record.record_id, found, f"{where}{reason}")


def _reason(error: Exception) -> str:
    """In words: without Python's "[Errno 2]", with the class of an error that is not ours."""
    if isinstance(error, FileNotFoundError):
        return "no such file. Was the data set moved without its manifest?"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}."
    return str(error) if isinstance(error, MammoError) else f"{type(error).__name__}: {error}"
