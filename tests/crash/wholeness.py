"""Whether every file that bears its final name can be read as whole, as a command that comes by would."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pyarrow.parquet
import torch
from PIL import Image
from pydicom import dcmread
from safetensors.torch import load_file

from mammo_monai.files import sha256_of
from mammo_monai.schema import iter_detections, read_manifest

# Folders in which a command works before it moves them, or what is in them, into place.
_UNFINISHED_FOLDER = re.compile(r"\..+\.(part|replaced)")
_TEMPORARY = re.compile(r"\..+\.part(\..+)?|.+\.part|.+-(wal|shm|journal)")
# Half a last line, or record, is theirs to bear: what reads them drops it.
_APPENDED = re.compile(r".*\.partial\.jsonl|rows-\d+\.jsonl|failed\.jsonl|.*\.log|events\.out\.tfevents\..*")
# Locks hold no content; a note of the process is for people.
_LOCKS = re.compile(r"\..*lock|.*\.lock")
ANYTHING = Exception  # whatever a reader raises at half a file


def is_temporary(path: Path) -> bool:
    """Whether a name says that the file is not finished.

    >>> is_temporary(Path(".d.json.0123abcd.part.json")), is_temporary(Path("d.json"))
    (True, False)
    """
    return _TEMPORARY.fullmatch(path.name) is not None


def is_unfinished(path: Path, folder: Path) -> bool:
    """Whether a file, or a folder below `folder` that it lies in, is not finished by its name."""
    names = path.relative_to(folder).parts
    return is_temporary(path) or any(_UNFINISHED_FOLDER.fullmatch(name) for name in names[:-1])


def files_below(folder: Path) -> Iterator[Path]:
    """Files, in order of their names."""
    return (each for each in sorted(folder.rglob("*")) if each.is_file())


def temporary_files(folder: Path) -> list[str]:
    """What unfinished work left: parts, journals and folders of parts, by name."""
    left = {each for each in files_below(folder) if is_unfinished(each, folder) or ".partial" in str(each)}
    folders = (each for each in folder.rglob(".*") if each.is_dir())
    left |= {each for each in folders if _UNFINISHED_FOLDER.fullmatch(each.name)}
    return sorted(each.relative_to(folder).as_posix() for each in left)


def faults(
    folder: Path, *, passed_over: Callable[[Path], bool] = lambda path: False, whole: Container[str] = ()
) -> list[str]:
    """Each file with a final name that cannot be read as whole, and why.

    Args:
        whole: SHA-256 of files' bytes that are whole, for those that have no reader here.
    """
    found = []
    for path in files_below(folder):
        if is_unfinished(path, folder) or _APPENDED.fullmatch(path.name) or _LOCKS.fullmatch(path.name):
            continue
        if passed_over(path) or (path.suffix not in READERS and sha256_of(path) in whole):
            continue
        try:
            _read(path)
        except ANYTHING as error:
            found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {str(error)[:200]}")
    for path in folder.rglob("*.parquet"):
        if path.is_dir():
            try:
                for _ in iter_detections(path):
                    pass
            except ANYTHING as error:
                found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {str(error)[:200]}")
    return found


def _read(path: Path) -> None:
    reader = READERS.get(path.suffix)
    if reader is None:
        raise ValueError(
            "half of a file; or a whole one that tests/crash/wholeness.py has no reader for, and that an "
            "undisturbed run does not write"
        )
    reader(path)


def _json(path: Path) -> None:
    content = json.loads(path.read_bytes())
    schema = str(content.get("schema", "")) if isinstance(content, dict) else ""
    if schema.startswith("mammo-monai/manifest"):
        read_manifest(path)
    if schema.startswith("mammo-monai/detections") and path.parent.suffix not in (".parquet", ".partial"):
        for _ in iter_detections(path):
            pass


def _lines(path: Path) -> None:
    for _ in iter_detections(path):
        pass


def _picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _table(path: Path) -> None:
    text = path.read_text(encoding="utf-8-sig")
    widths = {len(row) for row in csv.reader(text.splitlines())}
    if not text.endswith("\n") or len(widths) > 1:
        raise ValueError(f"rows of {sorted(widths)} fields, the last one ends in {text[-1:]!r}")


def _page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("the page does not end")


def _checkpoint(path: Path) -> None:
    torch.load(path, map_location="cpu", weights_only=True)


def _database(path: Path) -> None:
    """A copy is looked at: what SQLite mends when it opens a file is the command's to mend."""
    with tempfile.TemporaryDirectory() as folder:
        for each in path.parent.glob(f"{path.name}*"):
            shutil.copy(each, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as database:
            (answer,) = database.execute("PRAGMA integrity_check").fetchone()
    if answer != "ok":
        raise ValueError(answer)


def _dicom(path: Path) -> None:
    dataset = dcmread(path)
    if "PixelData" in dataset and not len(dataset.pixel_array):
        raise ValueError("no pixels")


def _key_or_signature(path: Path) -> None:
    """Of minisign: comments, and lines of base64."""
    text = path.read_text(encoding="ascii")
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    for line in text.splitlines()[1::2]:
        base64.b64decode(line, validate=True)


READERS: Mapping[str, Callable[[Path], object]] = {
    ".json": _json,
    ".jsonl": _lines,
    **dict.fromkeys((".key", ".pub", ".minisig"), _key_or_signature),
    ".png": _picture,
    ".jpg": _picture,
    ".csv": _table,
    ".html": _page,
    ".md": lambda path: path.read_text(encoding="utf-8"),
    ".pt": _checkpoint,
    ".safetensors": load_file,
    ".parquet": pyarrow.parquet.read_table,
    ".db": _database,
    ".sqlite": _database,
    ".dcm": _dicom,
}
