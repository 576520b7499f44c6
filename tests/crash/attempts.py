"""One start of a command in a process of its own, undisturbed or killed; what it left running is noted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from tests.crash.operations import FileOperations, Tally

KILLED = -int(signal.SIGKILL)
POLL_S = 0.005
ORPHANS_END_S = 15.0  # a worker that still reads when its parent is gone ends with what it is at
LONGEST_S = 300.0


@dataclass(frozen=True)
class Kill:
    """When and whom: by the clock from outside, or by the process itself at an operation on files.

    Attributes:
        after_s: seconds from the start; None: not by the clock.
        at_operation: see `FileOperations`; None: not so.
        whole_group: the processes it started too, as a power switch or a container's end would; False, the
            command alone, as an operator or the system out of memory would. By an operation: always alone.
    """

    after_s: float | None = None
    at_operation: int | None = None
    whole_group: bool = False


@dataclass(frozen=True)
class Attempt:
    """How a start went.

    Attributes:
        code: exit code, -9 when killed.
        seconds: until it ended. operations: on files of its folder, where they were counted.
        orphans: processes it started that were still there when it had been dead for `ORPHANS_END_S`.
    """

    code: int
    seconds: float
    operations: int
    orphans: int

    @property
    def is_killed(self) -> bool:
        """Whether the kill came before its end."""
        return self.code == KILLED


def forked(work: Callable[[], int], folder: Path, log: Path, kill: Kill | None = None) -> Attempt:
    """Does the work in a fork of this process, which has everything imported and no threads.

    Args:
        work: gives an exit code. folder: whose file operations count.
        log: what it writes to stdout and stderr is appended.
    """
    kill = kill or Kill()
    tally = Tally()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _work_and_end(work, FileOperations(folder, tally, fatal=kill.at_operation), log)
    code = _waited(pid, kill, start)
    seconds = time.monotonic() - start
    return Attempt(code, seconds, tally.count, orphans_of(pid))


def spawned(words: list[str], log: Path, kill: Kill | None = None) -> Attempt:
    """Starts the real command: an interpreter with these words."""
    kill = kill or Kill()
    start = time.monotonic()
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    code = _waited(process.pid, kill, start)
    process.returncode = code
    return Attempt(code, time.monotonic() - start, 0, orphans_of(process.pid))


def drawn_kill(chance: random.Random, *, longest_s: float, operations: int) -> Kill:
    """A kill at a moment that is drawn: by the clock or, if any were counted, at an operation."""
    if operations and chance.random() < 0.5:
        return Kill(at_operation=chance.randint(1, operations))
    return Kill(after_s=chance.uniform(0.0, longest_s), whole_group=chance.random() < 0.5)


def orphans_of(group: int) -> int:
    """Processes left in a process group; they get some time, then are ended."""
    until = time.monotonic() + ORPHANS_END_S
    while (left := _living(group)) and time.monotonic() < until:
        time.sleep(POLL_S)
    if left:
        os.killpg(group, signal.SIGKILL)
    return len(left)


def _work_and_end(work: Callable[[], int], operations: FileOperations, log: Path) -> None:
    code = 70
    try:
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        # Workers that the command spawns import its main module: the command's, not this program's.
        main = types.ModuleType("__main__")
        main.__spec__ = ModuleSpec("mammo_monai.cli.main", None)
        sys.modules["__main__"] = main
        operations.install()
        code = work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 71
    except BaseException:  # whatever it is, this process must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(pid: int, kill: Kill, start: float) -> int:
    """Waits for a process, kills it when it is time; its exit code, or minus the signal."""
    after_s = LONGEST_S if kill.after_s is None else kill.after_s
    is_killed = False
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if not is_killed and time.monotonic() - start >= after_s:
            is_killed = True
            if kill.whole_group and _leads_group(pid):
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)


def _leads_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def _living(group: int) -> list[int]:
    """Processes of a group that run; a zombie only waits for its parent."""
    found = []
    for each in Path("/proc").iterdir():
        if not each.name.isdecimal():
            continue
        try:
            state, _, process_group = (each / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it has just ended
        if int(process_group) == group and state not in "ZX":
            found.append(int(each.name))
    return found
