"""Seeing what Python code writes outside one folder, by the interpreter's audit events."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mammo_monai.dicom import gdcm_apart

# Events that create, change or remove something, with the positions of their paths and of the folders'
# descriptors that these are relative to; `open` is judged apart.
_CHANGING_EVENTS = {
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "shutil.rmtree": ((0, 1),),
}
# What no file may make a reader do at all, the decoder of lossless JPEG apart.
_FORBIDDEN_EVENTS = frozenset(
    {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "os.kill"}
)
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HARMLESS = frozenset({"/dev/null"})


class _Watch:
    """What the one audit hook of the process knows; a hook cannot be taken away again, so it sleeps."""

    folder: Path | None = None
    seen: list[str]
    is_hooked = False


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Gathers in the list that is given every change outside `folder`, and every process or connection begun.

    Sees what goes through Python; a native library's own writes raise no audit event.
    """
    if not _Watch.is_hooked:
        sys.addaudithook(_note)
        _Watch.is_hooked = True
    seen: list[str] = []
    _Watch.seen, _Watch.folder = seen, folder.resolve()
    try:
        yield seen
    finally:
        _Watch.folder = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _Watch.folder is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITE_FLAGS and not _is_inside(path):
            _Watch.seen.append(f"opened {path!r} for writing")
    elif event in _CHANGING_EVENTS:
        changed = [_place(arguments, *positions) for positions in _CHANGING_EVENTS[event]]
        _Watch.seen += [f"{event} of {place!r}" for place in changed if not _is_inside(place)]
    elif event in _FORBIDDEN_EVENTS and not _is_decoder(event, arguments):
        _Watch.seen.append(event)


def _place(arguments: tuple[object, ...], path: int, folder: int | None) -> object:
    """The path of an event, below the folder that a descriptor of it stands for."""
    relative = arguments[path]
    descriptor = arguments[folder] if folder is not None and folder < len(arguments) else None
    if not isinstance(descriptor, int) or descriptor < 0 or isinstance(relative, int):
        return relative
    return Path(f"/proc/self/fd/{descriptor}").readlink() / os.fsdecode(relative)  # type: ignore[arg-type]


def _is_decoder(event: str, arguments: tuple[object, ...]) -> bool:
    """The one process that a file may make a reader start: GDCM, whose command no file has a say in."""
    return event == "subprocess.Popen" and arguments[1] == gdcm_apart.command()


def _is_inside(path: object) -> bool:
    if isinstance(path, int):  # a descriptor: its opening was judged
        return True
    place = Path(os.fsdecode(path)).resolve()  # type: ignore[arg-type]  # what was passed to open and the like
    folder = _Watch.folder
    # The interpreter keeps the bytecode of a module that a reader imports for the first time.
    is_bytecode = place.parent.name == "__pycache__"
    return is_bytecode or str(place) in _HARMLESS or place == folder or folder in place.parents
