"""The stored inputs of a target: read again by every test run, grown by fuzz runs within limits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mammo_monai.files import atomic_path

CORPUS = Path(__file__).parent / "corpus"
MAX_FILE_BYTES = 20_000
MAX_FILES = 40
MAX_FOLDER_BYTES = 300_000


def name_of(data: bytes) -> str:
    """The name under which an input is stored: by its content, so that none is there twice."""
    return hashlib.sha256(data).hexdigest()[:12]


def stored_inputs(target: str, corpus: Path = CORPUS) -> dict[str, bytes]:
    """The corpus of a target by file name, sorted; empty where there is none yet."""
    folder = corpus / target
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def grow(target: str, candidates: Iterable[bytes], corpus: Path = CORPUS) -> int:
    """Adds candidates in their order until the folder is full; those that are too large are left out.

    Returns:
        How many were added.
    """
    there = stored_inputs(target, corpus)
    total = sum(map(len, there.values()))
    added = 0
    for data in candidates:
        name = name_of(data)
        if name in there or len(data) > MAX_FILE_BYTES or total + len(data) > MAX_FOLDER_BYTES:
            continue
        if len(there) >= MAX_FILES:
            break
        save(corpus / target / name, data)
        there[name] = data
        total += len(data)
        added += 1
    return added


def save(path: Path, data: bytes) -> None:
    """Writes an input so that it is there whole or not at all."""
    with atomic_path(path) as part:
        part.write_bytes(data)
