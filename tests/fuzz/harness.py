"""One fuzz target, and one execution of it: what the library may do with hostile bytes, and what not."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mammo_monai.errors import LONGEST_MESSAGE, MammoError
from tests.fuzz.memory import forget_highest, highest_resident_bytes, resident_bytes
from tests.fuzz.writes import watched

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 2 << 30
# Of a word that readers' rules about names do not know, so that finding it in a message is no accident.
_STEM = "fuzzed"
_COMPARED = 600  # characters of a message; the pattern's time grows with their square
_MEMORY_BACKED = Path("/dev/shm")

Kind = Literal["returned", "refused", "failed"]


@dataclass(frozen=True)
class Target:
    """One way in for a stranger's file.

    Attributes:
        name: unique; names the corpus folder.
        suffix: of the file, ".dcm".
        read: calls the library as its users do, on a file that holds the bytes.
        seeds: makes small valid inputs in memory; mutations start from them.
        refusals: errors that are right to be raised, provided that their message names the file.
        dictionary: byte strings the format knows, for mutations to splice in.
        mutators: mutations that know the format, each `(bytes, random.Random) -> bytes`.
    """

    name: str
    suffix: str
    read: Callable[[Path], object]
    seeds: Callable[[], Sequence[bytes]]
    refusals: tuple[type[Exception], ...] = (MammoError,)
    dictionary: tuple[bytes, ...] = ()
    mutators: tuple[Callable[..., bytes], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What one execution did.

    Attributes:
        error: class of the exception, "" where the reader returned.
        message: of the exception, or what was wrong where the target failed without one.
        peak_bytes: growth of resident memory over what the process held before, at its highest.
    """

    kind: Kind
    error: str
    message: str
    seconds: float
    peak_bytes: int

    @property
    def shape(self) -> str:
        """Class and message without what comes from the input: equal for inputs refused at the same place."""
        text = re.sub(r"""'[^']*'?|"[^"]*"?|\S*[\d/\\]\S*""", "#", self.message[:_COMPARED])
        return f"{self.kind} {self.error} {' '.join(re.findall('[A-Za-z#]+', text)[:12])}"


def execute(target: Target, data: bytes, *, time_limit_s: float = TIME_LIMIT_S) -> Outcome:
    """Reads these bytes once, as a file in a fresh folder, and judges what happened.

    Fails on: an exception that is none of the target's refusals, or does not name the file; more time or
    memory than allowed; anything written outside the folder, a process started, a connection made. A hang, a
    crash and memory without end also end this process: run it under `tests.fuzz.supervision` for those.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{os.getpid()}-", dir=_scratch()))
    path = folder / f"{_STEM}{target.suffix}"
    path.write_bytes(data)
    former_temporary, tempfile.tempdir = tempfile.tempdir, str(folder)
    forget_highest()
    before = resident_bytes()
    try:
        with watched(folder) as outside:
            started = time.perf_counter()
            kind, error, message = _read(target, path)
            seconds = time.perf_counter() - started
        peak = max(highest_resident_bytes() - before, 0)
    finally:
        tempfile.tempdir = former_temporary
        shutil.rmtree(folder, ignore_errors=True)
    if outside:
        kind, message = "failed", f"wrote outside its folder: {'; '.join(outside[:3])}"
    if seconds > time_limit_s:
        kind, message = "failed", f"took {seconds:.1f} s, more than {time_limit_s:g} s; {message}"
    if peak > MEMORY_LIMIT_BYTES:
        kind, message = "failed", f"took {peak >> 20} MiB, more than {MEMORY_LIMIT_BYTES >> 20}; {message}"
    return Outcome(kind, error, message, seconds, peak)


def remove_left_behind(process: int) -> None:
    """Removes the folder that a worker could not remove itself, because it was killed."""
    for folder in _scratch().glob(f"fuzz-{process}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _scratch() -> Path:
    return _MEMORY_BACKED if _MEMORY_BACKED.is_dir() else Path(tempfile.gettempdir())


def _read(target: Target, path: Path) -> tuple[Kind, str, str]:
    try:
        target.read(path)
    except KeyboardInterrupt:
        raise
    except target.refusals as error:
        message = str(error)
        if path.name not in message:
            return "failed", type(error).__name__, f"does not name the file: {message}"
        if len(message) > LONGEST_MESSAGE:
            return "failed", type(error).__name__, f"says too much: {message}"
        return "refused", type(error).__name__, message
    except BaseException as error:  # judged, not handled; Rust's panics are no Exception
        return "failed", type(error).__name__, f"is no refusal: {type(error).__name__}: {error}"
    return "returned", "", ""
