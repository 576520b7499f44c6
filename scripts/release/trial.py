"""Tries a wheel where nothing else is: an empty environment outside every checkout, no variable inherited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MODEL = "cbis_mass_detection"
EXTRAS = ("decoders", "demo", "hub", "mlflow", "onnx", "openvino", "optuna", "parquet", "pdf", "ray")


class TrialError(RuntimeError):
    """A step of the trial failed."""


@dataclass(frozen=True)
class Step:
    """One command and what it took."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Trial:
    """An environment that the wheel was installed into, and what was tried there."""

    folder: Path
    python: Path
    steps: tuple[Step, ...]


class Environment:
    """An environment with the wheel and what the wheel asks for, at the versions of constraints.txt."""

    def __init__(self, wheel: Path, constraints: Path, folder: Path) -> None:
        self.folder, self.steps = folder, list[Step]()
        self.bin = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        (folder / "home").mkdir()
        self._uv("venv", str(folder / "environment"), "--python", sys.executable)
        install = ["pip", "install", "--python", str(self.python), "-c", str(constraints), str(wheel)]
        self._uv(*install, name="pip install, at the versions of constraints.txt")

    def run(self, name: str, *words: str | Path) -> str:
        """What a command of the environment prints, run in its work folder.

        Raises:
            TrialError: it failed; the message holds its last words.
        """
        program, *rest = words
        return self._timed(name, [str(self.bin / program), *map(str, rest)], self._variables())

    def _variables(self) -> dict[str, str]:
        # Nothing of the caller but where temporary files are: no PYTHONPATH, no settings, no cache.
        kept = {key: os.environ[key] for key in ("TMPDIR", "SYSTEMROOT") if key in os.environ}
        home = str(self.folder / "home")
        path = os.pathsep.join((str(self.bin), "/usr/bin", "/bin"))
        return {**kept, "PATH": path, "HOME": home, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}

    def _uv(self, *words: str, name: str = "empty environment") -> None:
        command = [sys.executable, "-m", "uv", *words]
        try:  # from the cache, which the set-up filled
            self._timed(name, [*command, "--offline"], dict(os.environ))
        except TrialError:
            self._timed(name, command, dict(os.environ))

    def _timed(self, name: str, command: list[str], variables: dict[str, str]) -> str:
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.work, env=variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TrialError(f"{name}: {' '.join(command)}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        self.steps.append(Step(name, time.perf_counter() - began))
        return done.stdout


def try_wheel(wheel: Path, root: Path, folder: Path) -> Trial:
    """Installs the wheel, makes a film, marks it twice: by the command, and by MONAI from a copied bundle.

    Raises:
        TrialError: a step failed, something came from the checkout, or the two do not agree.
    """
    env = Environment(wheel, root / "constraints.txt", folder)
    version = wheel.name.split("-")[1]
    _expect(
        "version", env.run("mammo-monai --version", "mammo-monai", "--version"), f"mammo-monai {version}\n"
    )
    where = "import sys, mammo_monai; print(mammo_monai.__file__, *sys.path, sep='\\n')"
    paths = env.run("where it is imported from", "python", "-c", where)
    if str(root.resolve()) in paths:
        raise TrialError(f"something is imported from the checkout {root}:\n{paths}")
    env.run("mammo-monai phantoms", "mammo-monai", "phantoms", "--layout", "inbreast", "--patients", "1",
            "--pixel-spacing-mm", "0.4", "--out", "phantoms")  # fmt: skip
    film = min((env.work / "phantoms").rglob("*.dcm"))
    env.run("mammo-monai predict, the model in the box", "mammo-monai", "predict", film, "--bundle", MODEL,
            "-o", "detections.json")  # fmt: skip
    copied = shutil.copytree(shipped_bundle(env), env.work / "copied")
    env.run("python -m monai.bundle run, a copy of the bundle", "python", "-m", "monai.bundle", "run",
            "inference", "--bundle_root", copied, "--config_file", copied / "configs" / "inference.json",
            "--input", film, "--output", "by_monai.json")  # fmt: skip
    by_command, by_monai = (marks(env.work / name) for name in ("detections.json", "by_monai.json"))
    if not by_command or by_command != by_monai:
        raise TrialError(f"expected the same marks, got {len(by_command)} and {len(by_monai)}.")
    return Trial(folder, env.python, tuple(env.steps))


def shipped_bundle(env: Environment, name: str = MODEL) -> Path:
    """The folder of a bundle that came with the wheel."""
    (found,) = (env.folder / "environment").rglob(f"mammo_monai/_bundles/{name}")
    return found


def marks(path: Path) -> list[tuple[object, object]]:
    """The marks of a detections file, image by image: boxes and their scores."""
    images = json.loads(path.read_text(encoding="utf-8"))["detections"]
    return [(each["boxes"], each["scores"]) for each in images if each["boxes"]]


def resolved(pyproject: Path, constraints: Path | None, python: str, folder: Path) -> list[str]:
    """The pins that `pip install` takes on Linux for a Python version, with its extras, from wheels alone.

    Args:
        constraints: None takes the oldest versions that pyproject.toml allows.

    Raises:
        TrialError: there is no such set.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", str(pyproject)]
    command += ["--constraint", str(constraints)] if constraints else ["--resolution", "lowest-direct"]
    command += [word for extra in EXTRAS for word in ("--extra", extra)]
    command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrialError(f"Python {python}: {done.stderr[-2000:]}")
    return [line for line in done.stdout.splitlines() if "==" in line]


def _expect(what: str, got: str, wanted: str) -> None:
    if got != wanted:
        raise TrialError(f"{what}: expected {wanted!r}, got {got!r}.")
