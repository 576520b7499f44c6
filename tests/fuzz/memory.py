"""Resident memory of a process: now, and the highest since it was last asked (Linux's /proc)."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_HIGHEST = re.compile(rb"VmHWM:\s+(\d+) kB")
_NOW = re.compile(rb"VmRSS:\s+(\d+) kB")
_RESET_HIGHEST = "5"  # proc(5): writing 5 to clear_refs sets VmHWM to the present size


def resident_bytes(process: int | str = "self") -> int:
    """What a process holds in memory now; 0 when it is gone, or where there is no /proc."""
    return _status(process, _NOW)


def highest_resident_bytes(process: int | str = "self") -> int:
    """The most it ever held, or since `forget_highest`; 0 when it is gone, or where there is no /proc."""
    return _status(process, _HIGHEST)


def forget_highest() -> None:
    """Lets the highest of this process count from now; without a right to do so it goes on as it was."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_HIGHEST, encoding="ascii")


def _status(process: int | str, line: re.Pattern[bytes]) -> int:
    try:
        found = line.search(Path(f"/proc/{process}/status").read_bytes())
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0
