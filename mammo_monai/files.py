"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from mammo_monai.parts import own_part

_REMEDY = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Make room, or write to another disk."),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "Choose a folder that can be written."),
    **dict.fromkeys(
        (errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV, errno.ENOENT),
        "See whether the disk or share is still there.",
    ),
}

_CURRENT_IS_GONE = "the current folder was removed, or moved. Change to one that is there, with cd."


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; moves it onto `path` when the block succeeds.

    Parent folders are made. On any error the temporary file is removed and `path` is left as it was,
    so a full disk or a kill never leaves half a file under the final name. Content, name and the folders made
    for it are on the disk at the end. A file that is replaced hands its permissions on, a new one has those
    of the umask. A symbolic link stays: what it points to is replaced.

    Raises:
        OSError: the folder cannot be written, the disk is full, or `path` is a folder, a device or a pipe;
            the message names `path` and says what to do.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "a.txt") as part:
    ...         _ = part.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    check_file_place(path)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    part: Path | None = None
    try:
        made = list(takewhile(lambda each: not each.is_dir(), target.parents))
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode_of(target)
        with own_part(target) as part:
            if mode is not None:
                part.chmod(mode | 0o600)  # before there is content: no moment at which others may read it
            yield part
            if mode is not None:
                part.chmod(mode)
            _flush_to_disk(part)
            part.replace(target)
    except OSError as error:
        named = {str(each) for each in (part, path, target, *target.parents)}
        if error.filename is not None and str(error.filename) not in named:
            raise  # another file's fault, met inside the block: its own message names it
        raise could_not_write(path, _system_error(error)) from error
    for folder in (target.parent, *(each.parent for each in made)):
        _flush_folder_to_disk(folder)


def check_file_place(path: Path) -> None:
    """Refuses what a file cannot replace: a folder, a device, a pipe, a socket, links in a ring.

    Raises:
        OSError: see above, or the place cannot be looked at; the message names `path`.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        if isinstance(error, NotADirectoryError):
            return  # a file where its folder should be: said when that is made
        raise could_not_write(path, error) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            errno.EISDIR, f"could not write {path}: it is a folder; name a file in it. Nothing was changed."
        )
    if not stat.S_ISREG(mode):
        raise OSError(
            errno.EINVAL,
            f"could not write {path}: it is a device or a pipe, and would be replaced; name a file. "
            "Nothing was changed.",
        )


def _mode_of(path: Path) -> int | None:
    """The permissions of a file that is there."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None


def in_words(error: BaseException) -> str:
    """The message without Python's "[Errno 28]"; a file the message does not name is named, with what to do.

    >>> in_words(OSError(errno.EROFS, "Read-only file system", "out/.lock"))
    'out/.lock: Read-only file system. Choose a folder that can be written.'
    """
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    if error.filename is None:
        return _CURRENT_IS_GONE if _is_of_current_folder(error) else error.strerror
    return f"{error.filename}: {error.strerror}. {_REMEDY.get(error.errno or 0, '')}".rstrip()


def _is_of_current_folder(error: OSError) -> bool:
    """Whether it is that of a relative path in a folder that was removed, for which Python names no file."""
    if error.errno != errno.ENOENT or error.strerror != os.strerror(errno.ENOENT):
        return False
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def could_not_write(path: Path, error: OSError) -> OSError:
    """The error of a file that was left as it was: its name, what happened, what to do.

    >>> print(could_not_write(Path("m.json"), OSError(errno.ENOSPC, "No space left on device")).strerror)
    could not write m.json: No space left on device. Nothing was changed. Make room, or write to another disk.
    """
    reason, remedy = error.strerror or error, _REMEDY.get(error.errno or 0, "")
    return OSError(error.errno, f"could not write {path}: {reason}. Nothing was changed. {remedy}".rstrip())


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
        except UnicodeEncodeError as error:
            raise ValueError(
                f"could not write {path}: {error.object!a:.200} is no text: a file name in it holds bytes "
                "that are not UTF-8. Rename that file."
            ) from error
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
    """SHA-256 of a file's bytes; of a folder, such as one of shards, of its files' names and hashes.

    Names that begin with a point are left out: unfinished files and locks of commands, a desktop's own.
    """
    if not Path(path).is_dir():
        return sha256_of(path)
    files = sorted(each for each in Path(path).iterdir() if each.is_file() and each.name[0] != ".")
    return hashlib.sha256("".join(f"{sha256_of(each)}  {each.name}\n" for each in files).encode()).hexdigest()


def flush_tree_to_disk(folder: Path) -> None:
    """A folder with all that is in it, before it is moved to its name: a power cut then leaves no half of it.

    Raises:
        OSError: the disk refuses.
    """
    for each in folder.rglob("*"):
        if each.is_dir():
            _flush_folder_to_disk(each)
        elif each.is_file():
            _flush_to_disk(each)
    _flush_folder_to_disk(folder)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _flush_folder_to_disk(folder: Path) -> None:
    """So that a power cut does not undo the renaming. The file is in place: a refusal changes nothing."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
