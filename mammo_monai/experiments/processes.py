"""Steps as processes: a log file each, gone with the runner, and one line that says why one failed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.experiments.field_checks import ExperimentError

# The runner keeps the other end of stdin for as long as it lives: a step ends when stdin does, so that a
# runner that was killed leaves no training behind. Heard before anything heavy is imported.
_BEGIN = """
import sys
# The runner's own, before anything else is imported: nothing in the user's folder takes a module's place.
sys.path[:] = sys.argv.pop().split(chr(10))
import os, threading
line = sys.stdin.readline()
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
from mammo_monai.experiments.step import main
sys.exit(main(line))
"""
COMMAND = (sys.executable, "-c", _BEGIN, "\n".join(sys.path))
# The logger's name before the line that says why a step failed.
FAULTS = "mammo_monai.experiments.step"
POLL_S = 0.2
PATIENCE_S = 20.0
TAIL_BYTES = 20_000


class StepError(ExperimentError):
    """A step ended without success; the message is the step's own last word."""


@dataclass(frozen=True)
class Processes:
    """How the steps of one run are started.

    Attributes:
        lock: a file descriptor that each process inherits: a lock on it lasts as long as the process does.
        stopping: once set, processes are ended and waited for.
        variables: of the environment, beside this process's own.
        command: the program that reads a step's line from stdin.
    """

    lock: int
    stopping: threading.Event
    variables: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = COMMAND

    def run(self, line: str, log: Path) -> None:
        """Runs a step and waits for it.

        Args:
            line: what it reads from stdin, which stays open as long as this process lives.
            log: both outputs are appended.

        Raises:
            StepError: it failed, was killed, or was stopped. OSError: the log cannot be written.
        """
        with log.open("ab") as stream:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                pass_fds=(self.lock,),
                env={**os.environ, **self.variables},
            )
            with process:
                try:
                    code = self._told_and_waited(process, line)
                except BaseException:
                    _end(process)
                    raise
        if code:
            raise StepError(f"{reason(code, log)} See {log}.")

    def _told_and_waited(self, process: subprocess.Popen[bytes], line: str) -> int:
        with suppress(BrokenPipeError):  # it died at once; its exit code and log say why
            if process.stdin is not None:
                process.stdin.write(line.encode())
                process.stdin.flush()
        while True:
            try:
                return process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if self.stopping.is_set():
                    raise StepError("stopped; the same command goes on from its last checkpoint.") from None


def reason(code: int, log: Path) -> str:
    """Why a process failed, in one line: the fault it logged, else the last line, or the signal."""
    if code < 0:
        hint = " (9 is often the system, out of memory)" if code == -9 else ""
        return f"the process was killed by signal {-code}{hint}."
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = [each for each in stream.read().decode("utf-8", "replace").splitlines() if each.strip()]
    mark = f"ERROR {FAULTS}: "
    # Only among the last lines: an earlier attempt's fault stands in the same file.
    faults = [each.partition(mark)[2] for each in lines[-3:] if mark in each]
    last = (faults or lines or ["no word of why"])[-1].strip()
    return f"{last.rstrip('.')}."


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
