"""Runs a page's script in a folder of its own and tells what became of it, block by block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.steps import Steps
from tests.docs.warm import ONE_THREAD

_NOWHERE = "http://127.0.0.1:9"  # a proxy that nobody answers: a command that asks the internet fails at once


@dataclass(frozen=True)
class Ran:
    """What running a page gave.

    Attributes:
        line: of the block that was begun last; where it failed, if it did.
        seconds: of each block by its line, by the clock.
        commands: seconds of processor and words of each warm command.
    """

    code: int
    line: int
    output: str
    seconds: dict[int, float] = field(default_factory=dict)
    commands: tuple[tuple[float, str], ...] = ()

    @property
    def cpu_s(self) -> float:
        """Seconds of processor of all commands, without imports."""
        return sum(seconds for seconds, _ in self.commands)


def page_environment(home: Path, first_on_path: Path, cache: Path) -> dict[str, str]:
    """A reader's environment: a home of its own, no settings of this machine, no way to the internet."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    home.mkdir(parents=True, exist_ok=True)
    return {
        **kept,
        **ONE_THREAD,
        "PATH": os.pathsep.join(
            [str(first_on_path), str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]
        ),
        "HOME": str(home),
        "MAMMO_MONAI_HOME": str(home / ".mammo-monai"),
        "MAMMO_MONAI_CACHE": str(cache / "mammo-monai"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        "COLUMNS": "120",
        "TERM": "dumb",
        "PYTHONWARNINGS": "ignore",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
    }


def run_steps(steps: Steps, folder: Path, environment: dict[str, str], *, timeout_s: float) -> Ran:
    """Runs the script with bash in `folder`; whatever it left running is ended with it."""
    output, notes = steps.script.with_suffix(".out"), steps.script.with_suffix(".commands")
    extra = {"SNIPPET_TIMES": str(steps.times), "SNIPPET_COMMANDS": str(notes)}
    with output.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", str(steps.script)],
            cwd=folder,
            env={**environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            preexec_fn=os.setpgrp,  # noqa: PLW1509  # a group of its own, of the same session: the warm server joins it
        )
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = 124
        ended = time.time()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    seconds = steps.seconds(ended)
    return Ran(
        code,
        max(seconds, default=0),
        output.read_text(encoding="utf-8", errors="replace"),
        seconds,
        _commands(notes),
    )


def _commands(notes: Path) -> tuple[tuple[float, str], ...]:
    if not notes.exists():
        return ()
    lines = [line.partition(" ") for line in notes.read_text(encoding="utf-8").splitlines()]
    return tuple((float(seconds), words) for seconds, _, words in lines)
