"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; moves it onto `path` when the block succeeds.

    Parent folders are made. On any error the temporary file is removed and `path` is left as it was,
    so a full disk or a kill never leaves half a file under the final name.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the message names `path`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "a.txt") as part:
    ...         _ = part.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch(exist_ok=False)
        yield part
        _flush_to_disk(part)
        part.replace(path)
    except OSError as error:
        if error.filename not in {None, *map(str, (part, path, *path.parents))}:
            raise  # another file's fault, met inside the block: its own message names it
        cause = _system_error(error)
        reason = cause.strerror or cause
        raise OSError(cause.errno, f"could not write {path}: {reason}. Nothing was changed.") from error
    finally:
        with suppress(OSError):
            part.unlink()


def _system_error(error: OSError) -> OSError:
    """The operating system's own error: pydicom raises another while it writes, with a traceback in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def write_text_atomic(path: Path, text: str) -> None:
    """Writes UTF-8 text through `atomic_path`."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json_atomic(path: Path, content: object) -> None:
    """Writes JSON (no NaN: undefined is null) through `atomic_path`, with a final line break.

    Raises:
        ValueError: a number is NaN or infinite; nothing is written.
    """
    with atomic_path(path) as part, part.open("w", encoding="utf-8") as stream:
        try:
            # Written as it is encoded: the text of a large manifest is several times its objects.
            json.dump(content, stream, indent=1, allow_nan=False, ensure_ascii=False)
        except ValueError as error:
            raise ValueError(
                f"could not write {path}: {error}. Undefined figures are null in JSON."
            ) from error
        stream.write("\n")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def content_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; of a folder, such as one of shards, of its files' names and hashes."""
    if not Path(path).is_dir():
        return sha256_of(path)
    files = sorted(each for each in Path(path).iterdir() if each.is_file())
    return hashlib.sha256("".join(f"{sha256_of(each)}  {each.name}\n" for each in files).encode()).hexdigest()


def bytes_text(count: float) -> str:
    """A number of bytes for people, to three digits.

    >>> bytes_text(812), bytes_text(1_234_567), bytes_text(58_340_000_000)
    ('812 bytes', '1.23 MB', '58.3 GB')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:#.3g} {unit}".replace(". ", " ")
    return f"{count:.0f} bytes"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
