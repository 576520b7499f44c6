"""A target that does on demand all that must be reported as a failure: it keeps the fuzzing honest."""

from __future__ import annotations

import ctypes
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mammo_monai.errors import LONGEST_MESSAGE, DicomError
from tests.fuzz.harness import Target

ALLOCATED_BYTES = 400 << 20
WELL_BEHAVED = (b"return", b"refuse", b"write inside")
# What it does, and what the report of it must say.
FAILURES = {
    b"hang": "killed",
    b"allocate and hang": "MiB, killed",
    b"allocate": "took 4",
    b"segfault": "SIGSEGV",
    b"abort": "SIGABRT",
    b"leave": "exit code 3",
    b"raise another error": "is no refusal: KeyError",
    b"exit like a program": "is no refusal: SystemExit",
    b"refuse without a name": "does not name the file",
    b"quote all of it": "says too much",
    b"remove outside by a descriptor": "os.remove of PosixPath",
    b"write outside": "wrote outside its folder",
    b"start a process": "wrote outside its folder: os.system",
}


def _write_inside(path: Path) -> None:
    with tempfile.TemporaryFile() as stream:
        stream.write(b"a")
    path.with_name("other").write_bytes(b"b")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "inner").write_bytes(b"c")


def _write_outside(path: Path) -> None:
    place = path.parent.parent / "fuzz-outside"
    place.write_bytes(b"")
    place.unlink()


def _remove_outside(path: Path) -> None:
    (path.parent.parent / "fuzz-outside").write_bytes(b"")
    folder = os.open(path.parent.parent, os.O_RDONLY)
    try:
        os.remove("fuzz-outside", dir_fd=folder)
    finally:
        os.close(folder)


class _VerboseError(DicomError):
    def __str__(self) -> str:
        return str(self.args[0])


def _allocate(_: Path) -> None:
    _allocated().clear()


def _hang(_: Path) -> None:
    while True:
        time.sleep(0.01)


def _hang_with_memory(path: Path) -> None:
    memory = _allocated()
    _hang(path)
    memory.clear()


def _allocated() -> bytearray:
    return bytearray(os.urandom(1 << 20) * (ALLOCATED_BYTES >> 20))


def _raise(error: BaseException) -> None:
    raise error


_DEEDS: dict[bytes, Callable[[Path], object]] = {
    b"refuse": lambda path: _raise(DicomError(f"{path}: no")),
    b"write inside": _write_inside,
    b"hang": _hang,
    b"allocate and hang": _hang_with_memory,
    b"allocate": _allocate,
    b"segfault": lambda _: ctypes.string_at(0),
    b"abort": lambda _: os.abort(),
    b"leave": lambda _: os._exit(3),
    b"raise another error": lambda path: _raise(KeyError(str(path))),
    b"exit like a program": lambda path: _raise(SystemExit(str(path))),
    b"refuse without a name": lambda _: _raise(DicomError("no")),
    b"quote all of it": lambda path: _raise(_VerboseError(f"{path}: {'no ' * LONGEST_MESSAGE}")),
    b"write outside": _write_outside,
    b"remove outside by a descriptor": _remove_outside,
    b"start a process": lambda _: os.system("true"),
}


def _misbehave(path: Path) -> None:
    _DEEDS.get(path.read_bytes(), Path.stat)(path)


def _echo(path: Path) -> None:
    """Refuses in eight ways, by the first byte."""
    data = path.read_bytes()
    if len(data) % 3:
        raise DicomError(f"{path}: expected another {'abcdefgh'[data[0] % 8] * 3}")


TARGETS = (
    Target("misbehaving", ".txt", _misbehave, lambda: [*WELL_BEHAVED, *FAILURES]),
    Target("echo", ".txt", _echo, lambda: [b"abc", b"1234"]),
)
