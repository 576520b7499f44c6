"""Every run's parts are built before the first training; no image is read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, ExperimentError, Plan, build_parts, make_plan, read_experiment
from tests.experiments.conftest import write_empty_films, write_experiment

LIGHT = {"init": "none", "network_def#fpn_channels": 16}


def planned(folder: Path, **changes: Any) -> Plan:
    write_empty_films(folder)
    overrides = {**LIGHT, **changes.pop("overrides", {})}
    path = write_experiment(folder, runs=[{"name": "a"}], overrides=overrides, **changes)
    return make_plan(read_experiment(path), Choice(("1",)))


def test_runs_whose_parts_fit_pass_and_no_film_is_read(tmp_path: Path) -> None:
    build_parts(planned(tmp_path))


def test_films_that_are_not_there_are_found_out_before_the_first_training(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    for each in tmp_path.glob("*1.png"):
        each.unlink()
    with pytest.raises(ExperimentError, match=r"run a: .* of 24 image files are missing"):
        build_parts(plan)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"augment": "much"}, r"run a: .*augment"),
        ({"freeze": "half"}, r"run a: .*freezing policy must be one of .* got 'half'"),
        ({"network_def#backbone": "resnet9"}, r"run a: .*resnet9"),
        ({"detector#matcher": "best"}, r"run a: .*best"),
        ({"views": "halves"}, r"run a: .*halves"),
    ],
)
def test_a_wrong_word_in_any_part_is_named_with_its_run(
    tmp_path: Path, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        build_parts(planned(tmp_path, overrides=overrides))


def test_a_run_that_is_not_trained_has_nothing_to_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    runs = [{"name": "as-is", "train": False, "overrides": {"init": "a.safetensors", "augment": "much"}}]
    plan = make_plan(read_experiment(write_experiment(tmp_path, runs=runs, overrides={})))
    build_parts(plan)
