"""The commands that are killed, how often, and what of their output may differ from an undisturbed run's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mammo_monai.experiments import Runner
from mammo_monai.experiments.sweeps import Sweeper
from tests.crash.contents import Content, checkpoint_content, without, without_columns
from tests.crash.material import BUNDLE, SMALL, Material
from tests.experiments.conftest import FAKE_COMMAND

Words = list[object]
TIMES = ("training_s", "prediction_s", "seconds_per_image")


@dataclass(frozen=True)
class Scenario:
    """One command in a folder of its own.

    Attributes:
        kills: its share of 200.
        is_spawned: the real command in a new interpreter, start and all, is killed; by the clock alone.
        words: the command's, from its inputs and its folder.
        program: what the interpreter of a real command is given before its words.
        begin: puts into the folder what the command needs there.
        set_up: done in the forked process before the command, with its folder.
        command: in place of the words, done in the forked process; gives an exit code.
        closing_words: a command that is run, undisturbed, when the killed one has come to its end.
        loosely: see `contents.content_hashes`.
        passed_over: files that no reader is asked about.
        refuses_what_is_there: a start upon a finished result may end with an error that says so.
    """

    name: str
    verb: str
    kills: int
    words: Callable[[Material, Path], Words]
    is_spawned: bool = False
    program: tuple[str, ...] = ("-m", "mammo_monai.cli.main")
    begin: Callable[[Material, Path], object] = lambda material, out: None
    set_up: Callable[[Path], object] = lambda out: None
    command: Callable[[Material, Path], int] | None = None
    closing_words: Callable[[Path], Words] | None = None
    loosely: Mapping[str, Content | None] = field(default_factory=dict)
    passed_over: Callable[[Path], bool] = lambda path: False
    refuses_what_is_there: bool = False


def _prepare(*more: object) -> Callable[[Material, Path], Words]:
    return lambda material, out: [
        *("prepare", material.manifest, "--out", out / "prepared", "--size-px", 128, *more)
    ]


def _train(*more: object) -> Callable[[Material, Path], Words]:
    return lambda material, out: [
        *("train", "--bundle", BUNDLE, "--manifest", material.manifest, "--output-dir", out / "weights"),
        *("--init", "none", "--epochs", 4, *SMALL, *more),
    ]


def _predict(name: str, *more: object, overlays: bool = False) -> Callable[[Material, Path], Words]:
    return lambda material, out: [
        *("predict", material.manifest, "--bundle", BUNDLE, "-o", out / name, "--weights", material.weights),
        *("--device", "cpu", *(["--overlays", out / "overlays"] if overlays else []), *more, *SMALL),
    ]


def _fake_steps(_: Path) -> None:
    for begin in (Runner.__init__, Sweeper.__init__):
        begin.__kwdefaults__["command"] = FAKE_COMMAND  # type: ignore[index]  # the default of an option


def _is_fake_weights(path: Path) -> bool:
    """What the fake training writes stands for weights, and is none."""
    return path.suffix in (".safetensors", ".pt")


def _trials(path: Path) -> object:
    """What was tried and what came of it, without the times."""
    queries = (
        "SELECT number, state FROM trials ORDER BY number",
        "SELECT number, objective, value FROM trial_values JOIN trials USING (trial_id) ORDER BY 1, 2",
        "SELECT number, param_name, param_value FROM trial_params JOIN trials USING (trial_id) ORDER BY 1, 2",
    )
    with closing(sqlite3.connect(path)) as database:
        return [database.execute(query).fetchall() for query in queries]


_LOCK: dict[str, Content | None] = {"*.lock": None}
_TRAINED: dict[str, Content | None] = {"*/checkpoint_last.pt": checkpoint_content, "*tfevents*": None}
_RUNS: dict[str, Content | None] = {
    **_LOCK,
    **_TRAINED,
    "*.log": None,
    "*/attempts.json": None,
    "*/environment.json": None,
    "*/done.json": without(*TIMES),
    "*/prediction.json": without(*TIMES),
    "*study.db": _trials,
    "table.csv": without_columns(*TIMES),
    "*/trials.csv": without_columns("seconds"),
    "*/sweep.html": None,  # the same trials as in trials.csv, with how long each took
}
_FAKE = {"set_up": _fake_steps, "loosely": _RUNS, "passed_over": _is_fake_weights}

# Those that cost least come first: a run that is stopped has most of its kills.
SCENARIOS = (
    Scenario("prepare", "prepare", 34, _prepare(), loosely=_LOCK),
    Scenario("predict to json", "predict", 16, _predict("d.json")),
    Scenario("predict to jsonl", "predict", 14, _predict("d.jsonl")),
    Scenario("predict to parquet", "predict", 18, _predict("d.parquet")),
    Scenario("predict with overlays", "predict", 14, _predict("d.json", overlays=True)),
    Scenario("predict, 2 workers", "predict", 8, _predict("d.jsonl", "--workers", 2)),
    Scenario("train", "train", 23, _train(), loosely=_TRAINED),
    Scenario("train, 2 workers", "train", 6, _train("--num_workers", 2), loosely=_TRAINED),
    Scenario(
        "experiment, fake steps",
        "experiment",
        22,
        lambda material, out: ["experiment", "run", material.fake_experiment, "--out", out / "runs"],
        closing_words=lambda out: ["experiment", "table", out / "runs", "-o", out / "table.csv"],
        **_FAKE,  # type: ignore[arg-type]  # options by name
    ),
    Scenario(
        "experiment sweep, fake steps",
        "experiment",
        10,
        lambda material, out: ["experiment", "sweep", material.sweep, "--out", out / "runs"],
        **_FAKE,  # type: ignore[arg-type]  # options by name
    ),
    Scenario("prepare, from the shell", "prepare", 4, _prepare(), is_spawned=True, loosely=_LOCK),
    Scenario("predict, from the shell", "predict", 4, _predict("d.json"), is_spawned=True),
    Scenario("train, from the shell", "train", 3, _train(), is_spawned=True, loosely=_TRAINED),
    Scenario("prepare, 2 workers", "prepare", 5, _prepare("--workers", 2), loosely=_LOCK),
    Scenario(
        "experiment, real steps",
        "experiment",
        3,
        lambda material, out: ["experiment", "run", material.experiment, "--folds", 1, "--out", out / "runs"],
        loosely=_RUNS,
    ),
)
SERVE_KILLS = 16
