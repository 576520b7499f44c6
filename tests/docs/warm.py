"""Commands run literally, without the ten seconds that every import of torch and MONAI takes.

A server process has imported them. `mammo-monai`, `python` and `torchrun`, found first on PATH, are small
clients that hand it their arguments, folder, environment and open files; it forks, the child runs the
command, and the client ends as the child ends. SNIPPET_COMMANDS names a file that gets each command's seconds
of processor. What the server cannot do (`python -m pip`, options of the interpreter) the client runs as a
process of its own.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import importlib
import json
import multiprocessing
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType

START_S = 600.0  # torch and MONAI, imported while other tests run
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Modules that a process of its own must run: they describe the interpreter, or start others by fork.
COLD = {"pip", "venv", "uv", "build", "ensurepip", "pytest", "http.server", "jupyter", "nbconvert", "ray"}
_HEAVY = (
    "torch",
    "torchvision",
    "monai",
    "monai.bundle",
    "monai.bundle.__main__",
    "ignite.engine",
    "timm",
    "itk",
    "fire",
    "matplotlib.pyplot",
    "scipy.stats",
    "sklearn.metrics",
    "pydicom",
    "pynetdicom",
    "PIL.Image",
    "rich.console",
    "rich.table",
    "torch.utils.tensorboard",
)
_SKIPPED = ("mammo_monai.apps.monai_label", "mammo_monai.apps.monai_deploy", "mammo_monai.__main__")

CLIENTS = {
    "mammo-monai": ["mammo-monai"],
    "python": ["python"],
    "python3": ["python"],
    "torchrun": ["python", "-m", "torch.distributed.run"],
}
CLIENT = r"""#!{python} -SE
import array, json, os, signal, socket, sys
words = [*{name!r}, *sys.argv[1:]]
if words[1:2] == ["-u"]:
    del words[1]
def cold():
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
def is_warm(words):
    if words[0] != "python":
        return True
    first = words[1] if len(words) > 1 else "-"
    if first == "-m":
        return len(words) > 2 and words[2].split(".")[0] not in {cold!r} and words[2] not in {cold!r}
    return first in ("-", "-c") or not first.startswith("-")
if not is_warm(words):
    cold()
line = socket.socket(socket.AF_UNIX)
try:
    line.connect({address!r})
except OSError:
    if words[0] == "python":
        cold()
    sys.exit("the warm server does not answer")
said = dict(words=words, folder=os.getcwd(), environment=dict(os.environ), group=os.getpgrp())
message = json.dumps(said).encode()
head = len(message).to_bytes(8, "big")
line.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
line.sendall(message)
answers = line.makefile("r")
child = int(answers.readline())
def forward(number, frame):
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, forward)
last = (answers.readline() or "70 0").split()
code = int(last[0])
if os.environ.get("SNIPPET_COMMANDS"):
    with open(os.environ["SNIPPET_COMMANDS"], "a") as notes:
        notes.write(last[1] + " " + " ".join(words)[:160].replace("\n", " ") + "\n")
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def write_clients(folder: Path, address: Path) -> None:
    """Writes `mammo-monai`, `python`, `python3` and `torchrun` into `folder`, which goes first on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, name in CLIENTS.items():
        text = CLIENT.replace("{python}", sys.executable).replace("{python!r}", repr(sys.executable))
        text = text.replace("{name!r}", repr(name)).replace("{cold!r}", repr(sorted(COLD)))
        path = folder / file
        path.write_text(text.replace("{address!r}", repr(str(address))), encoding="utf-8")
        path.chmod(0o755)


def shared_server(base: Path) -> Path:
    """The folder of the one server for all workers of a test run, which ends with the run.

    `socket` is its address, `bin` holds the clients, `log.txt` what it says.

    Args:
        base: of this worker's temporary folders (`tmp_path_factory.getbasetemp()`).
    """
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    folder = (base.parent if is_worker else base) / "warm"
    folder.mkdir(exist_ok=True)
    address, clients = folder / "socket", folder / "bin"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            write_clients(clients, address)
            run = os.getppid() if is_worker else os.getpid()
            log = folder / "log.txt"
            start_server(address, clients=clients, log=log, until_gone=run, timeout_s=START_S)
    return folder


def start_server(address: Path, *, clients: Path, log: Path, until_gone: int, timeout_s: float = 180) -> None:
    """Starts the server and waits until it answers; it ends with the process `until_gone`."""
    environment = {**os.environ, **ONE_THREAD}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.warm", str(address), str(until_gone), str(clients)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
    end = time.monotonic() + timeout_s
    while not address.exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise RuntimeError(f"the warm server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def import_everything() -> None:
    """Imports what the commands would, so that a fork has it."""
    for name in _HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    import mammo_monai

    for module in pkgutil.walk_packages(mammo_monai.__path__, "mammo_monai."):
        if not module.name.startswith(_SKIPPED):
            with suppress(ImportError):
                importlib.import_module(module.name)
    importlib.import_module("mammo_monai.cli.main")


def serve(address: Path, until_gone: int, clients: Path) -> None:
    """Answers clients until the process `until_gone` is no more."""
    multiprocessing.set_executable(sys.executable)  # its children inherit files that no client passes on
    sys.executable = str(clients / "python")  # a command that starts Python again starts a warm one
    import_everything()
    gc.collect()
    gc.freeze()  # else the first collection in a child copies every page
    listener = socket.socket(socket.AF_UNIX)
    making = address.with_suffix(".making")
    making.unlink(missing_ok=True)
    listener.bind(str(making))
    listener.listen(64)
    making.rename(address)
    watched = selectors.DefaultSelector()
    watched.register(listener, selectors.EVENT_READ, None)
    while _is_alive(until_gone):
        for key, _ in watched.select(timeout=1):
            if key.data is None:
                with suppress(OSError, ValueError):  # a client that was killed while it spoke
                    _accept(listener, watched)
            else:
                key.data()
    address.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _accept(listener: socket.socket, watched: selectors.BaseSelector) -> None:
    line, _ = listener.accept()
    line.settimeout(20)
    size = array.array("i").itemsize
    head, rights, _, _ = line.recvmsg(8, socket.CMSG_SPACE(3 * size))
    if not rights:  # the client was killed before it spoke
        line.close()
        return
    files = array.array("i", rights[0][2])
    try:
        said = json.loads(_received(line, int.from_bytes(head, "big")))
    except (OSError, ValueError):
        for each in files:
            os.close(each)
        line.close()
        raise
    child = os.fork()
    if child == 0:
        watched.close()
        listener.close()
        line.close()
        _become(said, list(files))
    for each in files:
        os.close(each)
    handle = os.pidfd_open(child)
    is_done = False

    def ended() -> None:
        nonlocal is_done
        is_done = True
        watched.unregister(handle)
        os.close(handle)
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(KeyError, ValueError):
            watched.unregister(line)
        with suppress(OSError):
            line.sendall(f"{code} {used.ru_utime + used.ru_stime:.2f}\n".encode())
        line.close()

    def hung_up() -> None:  # the client was killed: so is its command
        if is_done:  # both were told at once: the line is closed, the number may be another process's
            return
        watched.unregister(line)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    watched.register(handle, selectors.EVENT_READ, ended)
    watched.register(line, selectors.EVENT_READ, hung_up)
    line.sendall(f"{child}\n".encode())  # last: a client that is gone is seen by `hung_up`


def _received(line: socket.socket, length: int) -> bytes:
    parts = b""
    while len(parts) < length:
        part = line.recv(min(1 << 16, length - len(parts)))
        if not part:
            raise ValueError("the client is gone")
        parts += part
    return parts


def _become(said: dict[str, object], files: list[int]) -> None:
    """In the fork: takes the client's place, runs its command, ends. Never returns."""
    code = 70
    try:
        for wanted, given in enumerate(files):
            os.dup2(given, wanted)
        os.closerange(3, 256)
        with suppress(OSError):
            os.setpgid(0, int(str(said["group"])))
        os.chdir(str(said["folder"]))
        os.environ.clear()
        os.environ.update({**said["environment"], **ONE_THREAD})  # type: ignore[dict-item]
        _fresh_streams()
        code = _ended(lambda: _run([str(word) for word in said["words"]]))  # type: ignore[attr-defined]
        code = _finished(code)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _fresh_streams() -> None:
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0, "r"),
        os.fdopen(1, "w"),
        os.fdopen(2, "w", buffering=1),
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    sys.modules["__main__"] = ModuleType("__main__")  # else a spawned worker would import this server
    np = importlib.import_module("numpy")
    np.random.seed(None)  # a process of its own begins with a seed of its own
    importlib.import_module("torch").seed()


def _run(words: list[str]) -> object:
    if words[0] == "mammo-monai":
        sys.argv = words
        return importlib.import_module("mammo_monai.cli.main").main()
    first = words[1] if len(words) > 1 else "-"
    if first == "-m":
        sys.path[0] = str(Path.cwd())
        sys.argv = words[2:]
        sys.modules.pop(f"{words[2]}.__main__", None)
        return runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    if first in ("-", "-c"):
        sys.path[0] = ""
        sys.argv = [first, *words[3 if first == "-c" else 2 :]]
        code = compile(words[2] if first == "-c" else sys.stdin.read(), "<string>", "exec")
        return _executed(code)
    sys.path[0] = str(Path(first).parent)
    for extra in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if extra:
            sys.path.insert(1, extra)
    sys.argv = words[1:]
    return runpy.run_path(first, run_name="__main__")


def _executed(code: CodeType) -> None:
    exec(code, {"__name__": "__main__", "__builtins__": __builtins__})


def _ended(command: Callable[[], object]) -> int:
    try:
        result = command()
    except SystemExit as end:
        result = end.code
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1
    if isinstance(result, int):
        return result & 0xFF
    if isinstance(result, str):
        sys.stderr.write(f"{result}\n")
        return 1
    return 0


def _finished(code: int) -> int:
    """What an interpreter does at its end: threads, exit functions, streams."""
    with suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
    with suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    return code


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
