"""A manifest of films that no test reads, an experiment on it, and a runner whose steps are fakes."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, Runner, make_plan, read_experiment
from mammo_monai.experiments.processes import StepError
from mammo_monai.files import write_text_atomic
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Manifest, write_manifest
from tests.experiments import fake_step

FAKE_COMMAND = (sys.executable, "-m", "tests.experiments.fake_step")
BUNDLE = "cbis_mass_detection"
Make = Callable[..., Runner]


def films(n_patients: int = 12, *, first: int = 0, folder: Path = Path("/films")) -> tuple[ImageRecord, ...]:
    """Two non-square films of each patient, one of them without a lesion."""
    records = []
    for patient in range(first, first + n_patients):
        for view in range(2):
            lesions = (Lesion((100.0, 200.0, 160.0, 270.0)),) if view == 0 else ()
            record_id = f"{2 * patient + view + 1:016x}"
            records.append(
                ImageRecord(folder / f"{record_id}.png", record_id, f"patient {patient}", 400, 800, lesions)
            )
    return tuple(records)


def write_empty_films(folder: Path) -> None:
    """The manifest of films that are there and hold nothing: whoever reads one fails."""
    records = films(folder=folder)
    for each in records:
        each.image.touch()
    write_manifest(folder / "manifest.json", Manifest(training=records))


def write_experiment(folder: Path, **changes: Any) -> Path:
    """experiment.json with its manifest beside it; three runs on three folds made in place."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.json"
    if not manifest.exists():
        write_manifest(manifest, Manifest(training=films()))
    content = {
        "schema": "mammo-monai/experiment/1",
        "name": "augmentation",
        "description": "Three ways to turn films about.",
        "bundle": BUNDLE,
        "manifest": "manifest.json",
        "folds": {"n_folds": 3, "validation_fraction": 0.34},
        "epochs": 4,
        "overrides": {"init": "none"},
        "evaluate": {"n_bootstrap": 100},
        "runs": [
            {"name": "none", "overrides": {"augment": "none"}},
            {"name": "light", "overrides": {"augment": "light"}, "description": "flips"},
            {"name": "strong", "overrides": {"augment": "strong"}},
        ],
    }
    path = folder / "experiment.json"
    write_text_atomic(path, json.dumps({**content, **changes}))  # two processes may, at once
    return path


@pytest.fixture
def make_runner(tmp_path: Path) -> Make:
    """A function from changes of the experiment, and options of the runner, to a runner with fake steps."""

    def make(
        *,
        choice: Choice | None = None,
        out: str = "out",
        options: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Runner:
        plan = make_plan(read_experiment(write_experiment(tmp_path, **changes)), choice)
        return Runner(plan, tmp_path / out, **{"command": FAKE_COMMAND, **(options or {})})

    return make


class StepsHere:
    """Stands for `Processes` where a test needs results and no process: the fake steps run in this one."""

    # One at a time: workers are threads of this process, and stderr is one for all of them.
    lock = threading.Lock()

    def __init__(self, *_: object) -> None:
        pass

    def run(self, line: str, log: Path) -> None:
        """Does the step of a line."""
        step = fake_step.Step(**json.loads(line))
        with self.lock, log.open("a", encoding="utf-8") as stream, redirect_stderr(stream):
            fake_step.note_environment(step)
            if step.overrides.get("seed") == 13:
                raise StepError(f"the loss is not finite. See {log}.")
            fake_step.perform(step)


@pytest.fixture
def steps_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps run in this process."""
    monkeypatch.setattr("mammo_monai.experiments.runner.Processes", StepsHere)


def write_film(folder: Path, *, first: int = 100, n_patients: int = 12) -> Path:
    """A second manifest, film.json, of other patients with lists of its own; half of them train."""
    folder.mkdir(parents=True, exist_ok=True)
    half, quarter = n_patients, 3 * n_patients // 2
    records = films(n_patients, first=first)
    manifest = Manifest(records[:half], records[half:quarter], records[quarter:])
    write_manifest(folder / "film.json", manifest)
    return folder / "film.json"


STAGE_ONE: dict[str, Any] = {"name": "stage_one", "manifest": "B", "folds": "once"}
FROM_STAGE_ONE: dict[str, Any] = {"init": "run:stage_one"}
# Stage one on film once, two stages against one on folds of the other set.
CHAIN: dict[str, Any] = {
    "manifest": ["manifest.json", "film.json"],
    "overrides": {"init": "none"},
    "runs": [
        STAGE_ONE,
        {"name": "one_stage", "manifest": "A", "table": "P0-I"},
        {
            "name": "two_stage",
            "manifest": "A",
            "overrides": {**FROM_STAGE_ONE, "augment": "strong"},
            "table": "P0-II",
        },
    ],
}


def run_here(folder: Path, *, choice: Choice | None = None, **changes: Any) -> Path:
    """Runs an experiment with fake steps in this process; the folder of its runs."""
    plan = make_plan(read_experiment(write_experiment(folder, **changes)), choice)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mammo_monai.experiments.runner.Processes", StepsHere)
        Runner(plan, folder / "out").run()
    return folder / "out"


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """none and strong on all three folds, light on the first, broken failed there; read only."""
    folder = tmp_path_factory.mktemp("finished")
    names = ("none", "light", "strong")
    runs: list[dict[str, Any]] = [{"name": name, "overrides": {"augment": name}} for name in names]
    runs.append({"name": "broken", "overrides": {"seed": 13}})
    run_here(folder, choice=Choice(("1",)), runs=runs)
    return run_here(folder, choice=Choice(("2", "3"), ("none", "strong")), runs=runs)


@pytest.fixture(scope="session")
def finished_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage one on film once, then one stage and two on two folds of the other set; read only."""
    folder = tmp_path_factory.mktemp("chain")
    write_film(folder)
    return run_here(folder, choice=Choice(("1", "2")), **CHAIN)


@pytest.fixture
def copied(finished_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_folder, tmp_path / "copied"))
