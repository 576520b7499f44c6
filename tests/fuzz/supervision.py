"""One target's campaign: its worker is watched, killed when it hangs or grows, and started again after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.corpus import name_of, save
from tests.fuzz.figures import Tally, load_tally, save_tally
from tests.fuzz.harness import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, remove_left_behind
from tests.fuzz.judge import Report, failures_folder
from tests.fuzz.memory import resident_bytes
from tests.fuzz.slot import Running, Slot

_SAVE_EVERY_S = 2.0
# A worker that cannot even be started is a fault of the harness or of a target's module.
_IDLE_LIMIT_S = 120.0
_MAX_STARTS_IN_VAIN = 2


@dataclass(frozen=True)
class Plan:
    """How much a campaign executes.

    Attributes:
        own, guided: executions by our own mutator, then with coverage guidance.
        time_limit_s, memory_limit_bytes: of one execution.
    """

    own: int
    guided: int
    seed: int = 0
    time_limit_s: float = TIME_LIMIT_S
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES


class Campaign:
    """Executes a target exactly as often as planned, whatever its inputs do to the worker."""

    def __init__(self, target: str, out: Path, plan: Plan) -> None:
        self.folder = out / target.rpartition(":")[2]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._plan = plan
        self._state = self.folder / "state.json"
        self.tally: Tally = load_tally(self._state, target)
        self._slot = Slot(self.folder / "slot")
        self._worker: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._is_guided = False
        self._starts_in_vain = 0
        self._counted_at = self._saved_at = self._heard_at = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether all planned executions are counted."""
        return self.tally.own >= self._plan.own and self.tally.guided >= self._plan.guided

    def poll(self) -> None:
        """Reads what the worker reports, judges whether it may go on, and starts the next when it ended.

        Raises:
            RuntimeError: a worker ends or falls silent without an input to blame.
        """
        if self._worker is None:
            self._start()
        worker = self._worker
        if worker is None:
            return
        ended = worker.poll() is not None  # asked before reading: what it wrote last is then in the pipe
        self._read_reports(worker)
        if ended:
            self._after_end(worker.returncode)
        else:
            self._judge_running(worker)
        self._keep_state()

    def stop(self) -> None:
        """Ends the worker and saves the counts."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            remove_left_behind(self._worker.pid)
            self._worker = None
        save_tally(self._state, self.tally)

    def _start(self) -> None:
        self._is_guided = self.tally.own >= self._plan.own
        first, last = (
            (self.tally.guided, self._plan.guided) if self._is_guided else (self.tally.own, self._plan.own)
        )
        if first >= last:
            return
        self._slot.clear()
        numbers = ["--first", str(first), "--count", str(last - first), "--seed", str(self._plan.seed)]
        numbers += ["--time-limit", str(self._plan.time_limit_s)]
        command = ["--target", self.tally.target, "--folder", str(self.folder), *numbers]
        self._worker = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.fuzz.worker", *command, *["--guided"] * self._is_guided],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "worker.txt").open("wb"),
        )
        if self._worker.stdout is not None:
            os.set_blocking(self._worker.stdout.fileno(), False)
        self._unread = b""
        self._counted_at = self._heard_at = time.monotonic()

    def _read_reports(self, worker: subprocess.Popen[bytes]) -> None:
        if worker.stdout is None:
            return
        while chunk := worker.stdout.read(1 << 16):
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            self._starts_in_vain = 0
            for line in lines:
                self.tally.count(Report(*json.loads(line)), is_guided=self._is_guided)
            self._heard_at = time.monotonic()

    def _judge_running(self, worker: subprocess.Popen[bytes]) -> None:
        running = self._slot.running()
        if running is None:
            if time.monotonic() - self._heard_at > _IDLE_LIMIT_S:
                worker.kill()
                raise RuntimeError(f"{self.tally.target}: the worker has not executed anything for minutes")
            return
        seconds = time.monotonic() - running.begun_s
        grown = resident_bytes(worker.pid) - running.resident_bytes
        if seconds > self._plan.time_limit_s:
            self._kill(worker, running, f"took more than {self._plan.time_limit_s:g} s, killed")
        elif grown > self._plan.memory_limit_bytes:
            self._kill(worker, running, f"grew by {grown >> 20} MiB, killed")

    def _kill(self, worker: subprocess.Popen[bytes], running: Running, message: str) -> None:
        worker.send_signal(signal.SIGSTOP)  # it may have come through in this moment
        self._read_reports(worker)
        is_still = self._slot.running() == running and running.index >= self._done
        if is_still:
            worker.kill()
            worker.wait()
            self._read_reports(worker)
            self._blame(running, message)
        else:
            worker.send_signal(signal.SIGCONT)

    def _after_end(self, code: int) -> None:
        running = self._slot.running()
        if running is not None and running.index >= self._done:
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            stack = (self.folder / "crash.txt").read_text(encoding="utf-8", errors="replace")
            self._blame(running, f"the process ended: {reason}. {' '.join(stack.split())[:400]}")
        elif code != 0:
            self._starts_in_vain += 1
        if self._starts_in_vain > _MAX_STARTS_IN_VAIN:
            told = (self.folder / "worker.txt").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{self.tally.target}: the worker could not run: {told[-2000:]}")
        self._end()

    @property
    def _done(self) -> int:
        return self.tally.guided if self._is_guided else self.tally.own

    def _blame(self, running: Running, message: str) -> None:
        data = self._slot.data(running)
        name = name_of(data)
        save(failures_folder(self.folder) / name, data)
        seconds = time.monotonic() - running.begun_s
        report = Report(running.index, "failed", "", seconds, 0, message, name)
        self.tally.count(report, is_guided=self._is_guided)
        self._end()

    def _end(self) -> None:
        if self._worker is not None:
            remove_left_behind(self._worker.pid)
        self._worker = None
        self._slot.clear()
        save_tally(self._state, self.tally)

    def _keep_state(self) -> None:
        now = time.monotonic()
        self.tally.running_s += now - self._counted_at
        self._counted_at = now
        if now - self._saved_at > _SAVE_EVERY_S:
            self._saved_at = now
            save_tally(self._state, self.tally)
