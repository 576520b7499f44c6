"""A sweep over the step that trains nothing: the augmentation decides how many lesions it finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments.sweeps import Sweep, Sweeper, Trial, read_sweep
from mammo_monai.schema import Manifest, write_manifest
from tests.experiments.conftest import films

PARAMETERS: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-05, "high": 0.01, "log": True},
    "augment": {"type": "categorical", "choices": ["none", "light", "strong"]},
    "batch_size": {"type": "int", "low": 1, "high": 4},
}
RECORDS = films(30)


def write_sweep_file(folder: Path, *, sweep: dict[str, Any] | None = None, **changes: Any) -> Path:
    """sweep.json with its manifest beside it: 30 films train, 20 validate, 10 test."""
    if not (folder / "manifest.json").exists():
        write_manifest(folder / "manifest.json", Manifest(RECORDS[:30], RECORDS[30:50], RECORDS[50:]))
    section = {"parameters": PARAMETERS, "sampler": "random", "trials": 4, "seed": 3, **(sweep or {})}
    content = {
        "schema": "mammo-monai/experiment/1",
        "name": "search",
        "description": "Which <augmentation>.",
        "bundle": "cbis_mass_detection",
        "manifest": "manifest.json",
        "epochs": 4,
        "overrides": {"init": "none"},
        "evaluate": {"n_bootstrap": 20},
        "sweep": section,
        **changes,
    }
    content = {name: each for name, each in content.items() if each is not None}
    (folder / "sweep.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "sweep.json"


Run = Callable[..., tuple[Sweep, list[Trial]]]


@pytest.fixture
def run(tmp_path: Path, steps_here: None) -> Run:
    """A function from changes of the file to the sweep and its trials, in `out`."""

    def run(*, out: str = "out", options: dict[str, Any] | None = None, **changes: Any) -> Any:
        sweep = read_sweep(write_sweep_file(tmp_path, **changes))
        return sweep, Sweeper(sweep, tmp_path / out, **(options or {})).run()

    return run
