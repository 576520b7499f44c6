"""A manifest of films that no test reads, an experiment on it, and a runner whose steps are fakes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, Runner, make_plan, read_experiment
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Manifest, write_manifest

FAKE_COMMAND = (sys.executable, "-m", "tests.experiments.fake_step")
BUNDLE = "cbis_mass_detection"
Make = Callable[..., Runner]


def films(n_patients: int = 12, *, first: int = 0) -> tuple[ImageRecord, ...]:
    """Two non-square films of each patient, one of them without a lesion."""
    records = []
    for patient in range(first, first + n_patients):
        for view in range(2):
            lesions = (Lesion((100.0, 200.0, 160.0, 270.0)),) if view == 0 else ()
            record_id = f"{2 * patient + view + 1:016x}"
            path = Path(f"/films/{record_id}.png")
            records.append(ImageRecord(path, record_id, f"patient {patient}", 400, 800, lesions))
    return tuple(records)


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
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
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
