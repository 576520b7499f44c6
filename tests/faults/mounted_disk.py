"""A small real disk in memory, that fills up and turns read-only; needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class MountedDisk:
    """A tmpfs at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remount(self, options: str) -> None:
        """Gives it another `size=`, or makes it `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True, capture_output=True)

    def free_bytes(self) -> int:
        """What is left."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int) -> Path:
        """Writes a file that leaves so little; returns it, to be removed."""
        filler = self.path / "filler"
        with filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(1, self.free_bytes() - leave_bytes))
        return filler


@contextmanager
def mounted(path: Path, size_kb: int) -> Iterator[MountedDisk]:
    """Mounts an empty disk at `path`; skips the test where this user may mount nothing."""
    path.mkdir(parents=True, exist_ok=True)
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    options = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "none", str(path)]
    if (done := subprocess.run(options, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield MountedDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)
