"""What decides a result is written down whole, and a wrong id, bundle or start is named with its run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.bundle import find_bundle
from mammo_monai.experiments.configuration import (
    changes_between,
    config_hash,
    prediction_config,
    prediction_overrides,
    start_of,
    training_config,
)
from mammo_monai.experiments.definition import ExperimentError, RunSpec
from mammo_monai.files import sha256_of

BUNDLE = "cbis_mass_detection"


def spec(*, bundle: str = BUNDLE, is_trained: bool = True, **overrides: Any) -> RunSpec:
    named = {name.replace("__", "#"): value for name, value in overrides.items()}
    return RunSpec("a", bundle, overrides=named, is_trained=is_trained)


def test_an_override_replaces_one_value_and_leaves_its_neighbours() -> None:
    plain = training_config(spec(), "run a")
    changed = training_config(spec(train__dataset__views="sections", size_px=512), "run a")
    assert changes_between(plain, changed) == [
        "size_px: 768 → 512",
        "train#dataset#views: '@views' → 'sections'",
    ]


def test_an_override_reaches_into_a_list() -> None:
    config = training_config(spec(train__handlers__0__interval=2), "run a")
    assert config["train"]["handlers"][0]["interval"] == 2


def test_a_new_keyword_of_a_component_is_added() -> None:
    assert training_config(spec(detector__matcher="atss"), "run a")["detector"]["matcher"] == "atss"


def test_prediction_keeps_its_own_start_and_takes_the_rest() -> None:
    run = RunSpec("a", BUNDLE, overrides={"init": "none", "size_px": 512}, predict_overrides={"mode": "full"})
    assert prediction_overrides(run, "run a") == {"size_px": 512, "mode": "full"}
    config = prediction_config(run, "run a")
    assert (config["init"], config["size_px"]) == ("@weights", 512)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"sise_px": 512}, r"run a: --sise_px: no such id .*Did you mean --size_px"),
        ({"train__handlers__9": 1}, "train#handlers of .* is a list of"),
    ],
)
def test_an_id_that_is_not_there_is_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        training_config(spec(**overrides), "run a")


def test_a_bundle_that_is_not_there_or_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"run a: .*no_such_bundle"):
        training_config(spec(bundle="no_such_bundle"), "run a")
    copied = tmp_path / "copied"
    shutil.copytree(find_bundle(BUNDLE), copied)
    (copied / "configs" / "evaluate.json").unlink()
    assert training_config(spec(bundle=str(copied)), "run a")["size_px"] == 768
    with pytest.raises(ExperimentError, match=r"has no configs/evaluate\.json"):
        prediction_config(spec(bundle=str(copied)), "run a")


def test_a_start_is_named_with_its_hash(tmp_path: Path) -> None:
    weights = tmp_path / "stage_one.safetensors"
    weights.write_bytes(b"weights")
    expected = ("stage_one.safetensors", sha256_of(weights))
    assert start_of(spec(), {"init": str(weights)}, "run a") == expected
    assert start_of(spec(), {"init": "imagenet"}, "run a") == ("imagenet", "")


@pytest.mark.parametrize(
    ("init", "is_trained", "message"),
    [
        ("@weights", True, "init must be coco, imagenet, none, run:NAME, a bundle or a file, got '@weights'"),
        (None, True, "got None"),
        ("imagenet", False, "a run with train false predicts with the weights that init names"),
        ("no_such_bundle", True, "expected coco, imagenet, none, a weights file or a bundle"),
        ("gone.safetensors", True, "no weights file at gone"),
    ],
)
def test_a_start_that_cannot_be_is_refused(init: Any, is_trained: bool, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        start_of(spec(is_trained=is_trained), {"init": init}, "run a")


def test_the_hash_follows_content_not_order() -> None:
    assert config_hash({"a": 1, "b": {"c": [1], "d": 2}}) == config_hash({"b": {"d": 2, "c": [1]}, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})


def test_long_values_are_cut_in_the_list_of_changes() -> None:
    (line,) = changes_between({"a": "x" * 100}, {})
    assert line.startswith("a: 'xxx")
    assert line.endswith("… → not there")
    assert len(line) < 90
