"""Processes that need not import torch and MONAI, which takes ten seconds: forks of the pages' warm server.

One server serves all workers of a test run; it begins when a test first asks for it. A warm process is one of
its own, with its own folder, environment and output; it is killed, and ends, as any other.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs import warm as server


class WarmProcess:
    """What `subprocess.Popen` is for a process of one's own; its exit code is known when it is dead.

    Args:
        words: "mammo-monai" or "python" and what follows. output: file that gets stdout and stderr.
    """

    def __init__(
        self, address: Path, words: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
    ) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(address))
        said = {
            "words": list(words),
            "folder": str(folder),
            "environment": dict(environment),
            "group": os.getpgrp(),
        }
        message = json.dumps(said).encode()
        with Path(os.devnull).open("rb") as nothing, output.open("wb") as stream:
            files = array.array("i", [nothing.fileno(), stream.fileno(), stream.fileno()])
            self._line.sendmsg(
                [len(message).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
            )
            self._line.sendall(message)
            self._answers = self._line.makefile("r")
            self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        if self.returncode is None and _has_ended(self.pid):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it is dead; negative for the signal that killed it."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            self.returncode = int(self._answers.readline().split()[0])
            self._line.close()
        return self.returncode

    def kill(self) -> None:
        """Kills it without mercy; a dead one stays so."""
        with suppress(ProcessLookupError):
            if self.returncode is None:
                os.kill(self.pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Warm:
    """Starts warm processes, with this one's environment unless another is given."""

    def __init__(self, address: Path, outputs: Path) -> None:
        self._address, self._outputs, self._count = address, outputs, 0

    def start(
        self,
        *words: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
    ) -> WarmProcess:
        """A process that runs; "mammo-monai" or "python" comes first."""
        return WarmProcess(
            self._address,
            [str(word) for word in words],
            folder or Path.cwd(),
            {**os.environ, **server.ONE_THREAD, "CUDA_VISIBLE_DEVICES": ""}
            if environment is None
            else environment,
            output or Path(os.devnull),
        )

    def run(self, *words: str | Path, folder: Path | None = None) -> str:
        """What a process wrote that ended well."""
        self._count += 1
        output = self._outputs / f"{self._count}.txt"
        code = self.start(*words, folder=folder, output=output).wait()
        said = output.read_text(errors="replace")
        assert code == 0, said[-3000:]
        return said


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Warm:
    """The server, one for all workers; it ends with the test run."""
    folder = server.shared_server(tmp_path_factory.getbasetemp())
    return Warm(folder / "socket", tmp_path_factory.mktemp("warm-outputs"))
