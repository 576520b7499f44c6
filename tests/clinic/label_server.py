"""A MONAI Label server for the tests: a process in its own environment, on a free port of loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.clinic.orthanc_server import free_tcp_port

ENVIRONMENT = Path(__file__).parents[2] / ".venv-label"
# The first start of an environment compiles some thousand files.
START_S = 300.0
TASK_S = 300.0


@dataclass(frozen=True)
class LabelServer:
    """A running server; `log` is what it printed."""

    url: str
    log: Path

    def get(self, path: str) -> Any:
        """The JSON that a GET answers."""
        answer = requests.get(self.url + path, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, params: Mapping[str, object] | None = None) -> requests.Response:
        """A POST with JSON parameters, as scoring, training and active learning take them."""
        return requests.post(self.url + path, json=dict(params or {}), timeout=TASK_S)

    def infer(self, model: str, image: str, output: str = "json", **params: object) -> requests.Response:
        """A POST to /infer with form parameters, as 3D Slicer sends them."""
        return requests.post(
            f"{self.url}/infer/{model}",
            params={"image": image, "output": output},
            data={"params": json.dumps(params)},
            timeout=TASK_S,
        )

    def save_label(self, image: str, text: str) -> None:
        """Submits a final label, as 3D Slicer does."""
        answer = requests.put(
            f"{self.url}/datastore/label",
            params={"image": image},
            files={"label": ("slicer.json", text)},
            timeout=60,
        )
        answer.raise_for_status()

    def finished(self, task: str) -> dict[str, Any]:
        """The last task of a kind (`/train`, `/batch/infer`, `/scoring`), once it has ended."""
        end = time.monotonic() + TASK_S
        while time.monotonic() < end:
            found: dict[str, Any] = self.get(f"{task}/" if task != "/batch/infer" else task)
            if found["status"] not in ("SUBMITTED", "RUNNING"):
                return found
            time.sleep(0.5)
        raise TimeoutError(f"{task} did not end in {TASK_S} s; see {self.log}")


def why_no_monai_label() -> str | None:
    """What is missing to run one; None where all is there."""
    if (ENVIRONMENT / ".stamp").is_file():
        return None
    return "MONAI Label is not installed: sh scripts/clinic/label_env.sh says why"


@contextmanager
def running_label(
    folder: Path, app: Path, studies: str | Path, conf: Mapping[str, str], **environment: str
) -> Iterator[LabelServer]:
    """Starts one as its users do, waits until it answers, ends it and what it started with the block.

    Args:
        folder: for its log and whatever it would keep in the user's home. conf: of `--conf`.

    Raises:
        RuntimeError: it does not start; the message ends with its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_tcp_port()
    server = LabelServer(f"http://127.0.0.1:{port}", folder / "server.log")
    command = [str(ENVIRONMENT / "bin" / "monailabel"), "start_server", "--app", str(app)]
    command += ["--studies", str(studies), "--host", "127.0.0.1", "--port", str(port)]
    for name, value in conf.items():
        command += ["--conf", name, value]
    quiet = {
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "MONAI_LABEL_SESSION_PATH": str(folder / "sessions"),
        "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "fetched"),
    }
    path = f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path, **quiet, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(server, process)
        yield server
    finally:
        # Its tasks are processes of the same group, which it does not end itself.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(server: LabelServer, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            server.get("/info/")
            return
        except requests.RequestException:
            time.sleep(0.2)
    tail = server.log.read_text(errors="replace")[-4000:]
    raise RuntimeError(f"MONAI Label does not answer at {server.url}:\n{tail}")
