"""Memory, processors, open files, clock and encoding: as this process has them, not as the machine does."""

from __future__ import annotations

import locale
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from mammo_monai.doctor.findings import Finding, Level

KIND = "machine"
# `predict` of one process peaks at 0.9 to 1.0 GB (docs/explanation/speed.md); training holds batches as well.
LITTLE_GB, COMFORTABLE_GB = 1.5, 4.0
FEW_OPEN_FILES = 1024
_CGROUP = Path("/sys/fs/cgroup")
# Of control groups, versions 2 and 1: the limit, what is used, and what of that is cached files.
_MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
_THREADS = "OMP_NUM_THREADS"


def findings(_: Mapping[str, Any]) -> Iterator[Finding]:
    """All of this kind."""
    memory = _text(Path("/proc/meminfo"))
    yield memory_finding(_meminfo_gb(memory, "MemTotal"), _meminfo_gb(memory, "MemAvailable"), *_limits_gb())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield core_finding(usable, _quota(), os.environ.get(_THREADS))
    yield instruction_finding(platform.machine(), _flags())
    yield from _open_files()
    package = Path(__file__)
    yield clock_finding(time.time(), package.stat().st_mtime, os.environ.get("SOURCE_DATE_EPOCH"))
    yield from user_findings(os.getuid() if hasattr(os, "getuid") else None)
    yield encoding_finding(sys.getfilesystemencoding(), locale.getpreferredencoding(False))


def memory_finding(
    total_gb: float | None,
    available_gb: float | None,
    limit_gb: float | None,
    left_gb: float | None = None,
) -> Finding:
    """Memory of the machine, and what a container's limit leaves of it.

    Args:
        limit_gb: the tightest limit. left_gb: what can still be taken before a limit is reached.
    """
    if total_gb is None:
        return Finding(KIND, "memory", Level.OK, "this system does not tell")
    limit = min(total_gb, limit_gb or total_gb)
    usable = min(limit, available_gb or limit, limit if left_gb is None else left_gb)
    text = f"{limit:.1f} GB, {usable:.1f} of them available"
    if limit < 0.95 * total_gb:
        text += f" (a limit of this container or service; the machine has {total_gb:.0f})"
    if usable < LITTLE_GB:
        why = "Marking takes about 1 GB per process: the system may end it."
        return Finding(
            KIND, "memory", Level.FAULT, text, why, "End other programs, or docker run --memory=4g …"
        )
    if usable < COMFORTABLE_GB:
        why = "Enough to mark; training may be ended by the system."
        return Finding(
            KIND, "memory", Level.WARNING, text, why, "mammo-monai train … --batch_size 2 --cache_rate 0"
        )
    return Finding(KIND, "memory", Level.OK, text)


def core_finding(usable: int, quota: float | None, threads: str | None) -> Finding:
    """Cores this process may use, against the threads that torch will start.

    Args:
        usable: cores it may run on. quota: cores' worth of time it gets; None is all.
        threads: OMP_NUM_THREADS.
    """
    text = f"{usable} usable" + (
        f", {quota:g} of them by quota" if quota is not None and quota < usable else ""
    )
    share = usable if quota is None else min(float(usable), quota)
    allowed = max(1, int(share))
    fix = f"export {_THREADS}={allowed}"
    if threads is not None and not threads.partition(",")[0].strip().isdigit():
        why = "It must be a number; torch ignores it."
        return Finding(KIND, "cores", Level.WARNING, f"{text}; {_THREADS} is {threads!r}", why, fix)
    asked = int(threads.partition(",")[0]) if threads else None
    if asked is not None and asked > allowed:
        why = "More threads than cores take turns, and wait for each other."
        return Finding(KIND, "cores", Level.WARNING, f"{text}; {_THREADS}={asked}", why, fix)
    if asked is None and allowed < usable:
        why = f"torch starts {usable} threads for {share:g} cores' worth of time: slower than with {allowed}."
        return Finding(KIND, "cores", Level.WARNING, text, why, fix)
    note = f"torch uses {asked} of them." if asked is not None and asked < allowed else ""
    return Finding(KIND, "cores", Level.OK, f"{text}; {_THREADS}={asked}" if asked else text, note)


def instruction_finding(machine: str, flags: frozenset[str]) -> Finding:
    """What the processor computes with."""
    if not flags:
        return Finding(KIND, "processor", Level.OK, machine)
    named = {
        "avx2": "AVX2",
        "avx512f": "AVX-512",
        "avx512_bf16": "bfloat16 (AVX-512)",
        "amx_bf16": "bfloat16 (AMX)",
    }
    has = [text for flag, text in named.items() if flag in flags]
    text = f"{machine}, {', '.join(has) or 'no AVX2'}"
    if machine in ("x86_64", "AMD64") and "avx2" not in flags:
        why = "torch is several times slower without; a virtual machine may only hide it."
        return Finding(
            KIND, "processor", Level.WARNING, text, why, "Give the virtual machine the host's CPU model"
        )
    return Finding(KIND, "processor", Level.OK, text)


def clock_finding(now_s: float, installed_s: float, built: str | None = None) -> Finding:
    """A clock before the moment this package was written is wrong.

    Args:
        installed_s: when the package's files were written. built: SOURCE_DATE_EPOCH, which may date them.
    """
    text = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s))
    day_s = 86_400.0
    if built is not None or now_s >= installed_s - day_s:
        return Finding(KIND, "clock", Level.OK, text)
    why = "The package was installed later than that: dates in DICOM results and certificates will be wrong."
    return Finding(KIND, "clock", Level.FAULT, text, why, "sudo timedatectl set-ntp true")


def user_findings(user_id: int | None) -> Iterator[Finding]:
    """A warning for a user without a name; None for the id on systems that have no such numbers."""
    if user_id is None:
        return
    try:
        import_module("pwd").getpwuid(user_id)
    except KeyError:
        # Where getpass looks. The second is what `mammo-monai` itself has set.
        names = [os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")]
        if not any(names) or f"uid_{user_id}" in names:
            found = "no name: LOGNAME and USER are not set, and passwd does not know this user's number"
            why = "mammo-monai does without; python -m monai.bundle ends when it starts."
            yield Finding(KIND, "user", Level.WARNING, found, why, "export LOGNAME=mammo")


def encoding_finding(files: str, texts: str) -> Finding:
    """Whether names of files and texts beyond ASCII survive."""
    names = {name: re.sub("[^a-z0-9]", "", name.lower()) for name in (files, texts)}
    if all(name == "utf8" for name in names.values()):
        return Finding(KIND, "encoding", Level.OK, "UTF-8 for file names and texts")
    why = "File names and texts with other letters than ASCII's cannot be read or shown."
    found = f"file names {files}, texts {texts}"
    return Finding(
        KIND, "encoding", Level.WARNING, found, why, "export PYTHONUTF8=1, or: export LC_ALL=C.UTF-8"
    )


def _open_files() -> Iterator[Finding]:
    try:
        resource = import_module("resource")
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FEW_OPEN_FILES:
        yield Finding(KIND, "open files", Level.OK, f"{soft} at a time" if soft >= 0 else "no limit")
        return
    why = "Nodes and training with worker processes hold many files open."
    best = FEW_OPEN_FILES if hard < 0 else min(hard, 4 * FEW_OPEN_FILES)
    fix = f"ulimit -n {best}"
    if best <= soft:  # only who starts this process may raise it
        fix = "docker run --ulimit nofile=4096 …, or LimitNOFILE=4096 of the service"
    yield Finding(KIND, "open files", Level.WARNING, f"{soft} at a time", why, fix)


def _limits_gb() -> tuple[float | None, float | None]:
    """The tightest memory limit of this process's control groups, and the least that one leaves."""
    limits, left = [], []
    for folder in _groups("memory"):
        for maximum, current, cached in _MEMORY:
            with suppress(ValueError):
                limit = int(_text(folder / maximum))
                if not 0 < limit < 1 << 60:  # version 1 writes "no limit" as nearly 2^63
                    continue
                limits.append(limit)
                left.append(max(limit - int(_text(folder / current)) + _cached(folder, cached), 0))
    return min(limits) / 1e9 if limits else None, min(left) / 1e9 if left else None


def _cached(folder: Path, name: str) -> int:
    """Bytes of a group's use that the system gives back when asked: files read, and not lately."""
    found = re.search(rf"^{name} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
    return int(found[1]) if found else 0


def _quota() -> float | None:
    """Cores' worth of time that the tightest control group allows."""
    found = []
    for folder in _groups("cpu"):
        words = _text(folder / "cpu.max").split()
        if len(words) != 2:
            words = [_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")]
        with suppress(ValueError, ZeroDivisionError):
            found.append(int(words[0]) / int(words[1]))
    return min((each for each in found if each > 0), default=None)


def _groups(controller: str) -> Iterator[Path]:
    """Folders of this process's control group and those above it."""
    for root in (_CGROUP, _CGROUP / controller):
        for line in _text(Path("/proc/self/cgroup")).splitlines():
            place = root / line.rpartition(":")[2].lstrip("/")
            while place.is_relative_to(root):
                yield place
                place = place.parent


def _meminfo_gb(text: str, name: str) -> float | None:
    found = re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e9 if found else None


def _flags() -> frozenset[str]:
    found = re.search(r"^flags\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
