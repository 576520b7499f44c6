"""One run at a time for one output: a second one would mix its results with the first one's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two runs at once are not noticed there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def only_run(output: Path) -> Iterator[None]:
    """Holds `.<output>.lock` while the block runs. The lock of a killed process is free at once.

    Raises:
        OSError: another process is writing this output, or the folder cannot be written.
    """
    path = output.with_name(f".{output.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _held(path)
    except BlockingIOError as error:
        raise OSError(
            error.errno,
            f"could not write {output}: another process is predicting into it. Wait until it ends, or name "
            "another output.",
        ) from error
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {output}: {error.strerror or error}. Choose a folder that can be written.",
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _held(path: Path) -> int:
    """The lock's file, opened and locked; the one that stands there, not one its holder just removed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
