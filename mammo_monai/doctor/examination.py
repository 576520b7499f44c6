"""Runs the examinations, each in a process of its own, and makes findings of those that crash or hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mammo_monai.doctor.findings import REINSTALL, Finding, Level

KINDS = ("environment", "gpu", "decoders", "weights", "disk", "machine", "extras", "clinic")
TIMEOUT_S = 60.0
# Kinds that share a process: two import torch, which takes seconds; two are quick and never hang.
_TOGETHER = (("environment", "gpu"), ("machine", "extras"))
_CHILD = (
    "import sys\n"
    # As in this process, before anything is imported: nothing in the user's folder takes a module's place.
    "sys.path[:] = sys.argv[1].split('\\n')\n"
    "from mammo_monai.doctor.child import main\n"
    "main(sys.argv[2])\n"
)


@dataclass(frozen=True)
class Asked:
    """What is to be looked at.

    Attributes:
        kinds: of `KINDS`. output: the folder that results will be written to.
        node: configuration of a node, for kind clinic, which is left out without one.
        timeout_s: for each process.

    Raises:
        ValueError: another kind, or no time.
    """

    kinds: tuple[str, ...] = KINDS
    output: str = "."
    node: str | None = None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"kinds must be some of {', '.join(KINDS)}, got {', '.join(unknown)}.")
        if self.timeout_s <= 0:
            raise ValueError(f"the time limit must be above 0 s, got {self.timeout_s:g}.")


def examine(asked: Asked) -> list[Finding]:
    """The findings in the order of `KINDS`; whatever happens in an examination is one of them."""
    groups = _groups([kind for kind in KINDS if kind in asked.kinds and (kind != "clinic" or asked.node)])
    running, pool = _Running(), ThreadPoolExecutor(max(len(groups), 1))
    try:
        parts = pool.map(lambda group: _examined(group, asked, running), groups)
        found = [finding for part in parts for finding in part]
    finally:  # nothing runs any more, unless the user has interrupted it
        running.end()
        pool.shutdown(cancel_futures=True)
    return sorted(found, key=lambda each: KINDS.index(each.kind))


@dataclass
class _Running:
    """The processes of all examinations, so that they can be ended together."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_over: bool = False

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Starts one more.

        Raises:
            OSError: it cannot be started, or all were ended.
        """
        with self.lock:
            if self.is_over:
                raise InterruptedError("all examinations were ended")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # with it end the processes it has started, such as nvidia-smi
            )
            self.processes.append(process)
            return process

    def end(self) -> None:
        """Kills those that run, and lets no other begin."""
        with self.lock:
            self.is_over = True
            for process in self.processes:
                if process.poll() is None:
                    _kill(process)


class _Printed(NamedTuple):
    """What a process has said: findings, the last step that was begun, and whether it came to its end."""

    findings: list[Finding]
    step: dict[str, Any]
    is_done: bool


def _groups(kinds: Sequence[str]) -> list[list[str]]:
    """The kinds of each process."""
    shared = [[kind for kind in group if kind in kinds] for group in _TOGETHER]
    together = {kind for group in shared for kind in group}
    return [*(group for group in shared if group), *([kind] for kind in kinds if kind not in together)]


def _examined(kinds: Sequence[str], asked: Asked, running: _Running) -> list[Finding]:
    """The findings of kinds that share a process; those not begun when it ended get another one."""
    found, left = list[Finding](), list(kinds)
    while left:
        findings, last = _in_one_process(left, asked, running)
        found += findings
        left = left[left.index(last) + 1 :] if last in left else left[1:]
    return found


def _in_one_process(kinds: Sequence[str], asked: Asked, running: _Running) -> tuple[list[Finding], str]:
    """Findings of these kinds, and the last one that was begun."""
    request = json.dumps({"kinds": kinds, "output": asked.output, "node": asked.node})
    command = [sys.executable, "-c", _CHILD, "\n".join(sys.path), request]
    try:
        process = running.start(command)
    except OSError as error:
        return [_not_started(kind, error) for kind in kinds], kinds[-1]
    try:
        printed, said = process.communicate(timeout=asked.timeout_s)
        is_late = False
    except subprocess.TimeoutExpired:
        printed, said = _ended(process)
        is_late = True
    except BaseException:
        _ended(process)
        raise
    findings, step, is_done = _read(printed)
    if is_done:
        return findings, kinds[-1]
    last = step.get("kind", kinds[0])
    if is_late:
        return [*findings, _hung(last, asked.timeout_s, step)], last
    return [*findings, _crashed(last, process.returncode, step, said)], last


def _ended(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Kills a process with all it started; what it had printed. One that no kill reaches is left behind."""
    _kill(process)
    try:
        return process.communicate(timeout=2.0)
    except subprocess.TimeoutExpired as stuck:  # it waits for a dead share
        return stuck.output or b"", b""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process with all it started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _read(printed: bytes) -> _Printed:
    """Findings, the last step, and whether all was said."""
    findings, step, is_done = list[Finding](), dict[str, Any](), False
    for line in printed.decode("utf-8", errors="replace").splitlines():
        with suppress(ValueError, TypeError, KeyError):
            content = json.loads(line)
            if "done" in content:
                is_done = True
            elif "step" in content:
                step = content
            else:
                findings.append(Finding.from_wire(content))
    return _Printed(findings, step, is_done)


def _not_started(kind: str, error: OSError) -> Finding:
    why, fix = "Commands that start processes fail as well.", "Raise the limits: ulimit -u, ulimit -v"
    return Finding(kind, "examination", Level.FAULT, f"no process could be started ({error})", why, fix)


def _hung(kind: str, timeout_s: float, step: dict[str, Any]) -> Finding:
    doing = step.get("step", "starting Python")
    return Finding(
        kind,
        doing,
        Level.WARNING,
        f"not done within {timeout_s:g} s",
        "A share that does not answer, a driver that hangs, a slow disk: other commands wait there too.",
        f"mammo-monai doctor --only {kind} --timeout {timeout_s * 5:g}",
    )


def _crashed(kind: str, code: int, step: dict[str, Any], said: bytes) -> Finding:
    """The end of a process that ended by itself, with the last thing it said."""
    how = f"exit code {code}"
    if code < 0:
        with suppress(ValueError):
            how = f"signal {signal.Signals(-code).name}"
    lines = [line.strip() for line in said.decode("utf-8", errors="replace").splitlines() if line.strip()]
    doing = step.get("step", "starting Python")
    last = f"{lines[-1]:.200}" if lines else ""
    return Finding(
        kind,
        doing,
        Level.FAULT,
        f"the process ended ({how}){last and ': ' + last}",
        "Whatever does this ends every command the same way.",
        step.get("fix", REINSTALL),
        (last,) if last and kind == "clinic" else (),  # it may quote hosts and titles
    )
