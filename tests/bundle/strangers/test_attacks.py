"""No attack of a stranger's configuration gets through any door, and MONAI alone would have let them in."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from mammo_monai.bundle import (
    UntrustedBundleError,
    admitted,
    bundle_explainer,
    bundle_parts,
    load_marker,
    run_bundle,
)
from mammo_monai.bundle.exporting import ExportOptions, export_bundle
from mammo_monai.bundle.inspection import inspect_values
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError
from tests.bundle.strangers.attacks import (
    ALSO_REFUSED,
    LOGGING_ATTACKS,
    RUN_BY_MONAI,
    placed,
    stranger,
)

ATTACKS = RUN_BY_MONAI | ALSO_REFUSED


@pytest.mark.parametrize("name", RUN_BY_MONAI)
@pytest.mark.filterwarnings("ignore")
def test_monai_alone_would_run_it(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    parser = ConfigParser(json.loads(placed(RUN_BY_MONAI[name], marker)))
    # What comes after the attack may fail: what it makes is no transform.
    with contextlib.suppress(RuntimeError, ValueError, TypeError, AttributeError):
        parser.get_parsed_content("run")
    assert marker.exists()


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_refused_and_told(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    root = stranger(tmp_path, ATTACKS[name], marker)
    with pytest.raises(UntrustedBundleError, match=r"stranger: would run .*configs/\w+\.json") as caught:
        admitted(root)
    assert caught.value.inspection.outside
    assert str(caught.value).isascii()
    assert "\n" not in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("name", LOGGING_ATTACKS)
def test_logging_is_code_and_refused(name: str, tmp_path: Path) -> None:
    root = stranger(tmp_path, {"run": ["$1"]}, tmp_path / "marker", logging=LOGGING_ATTACKS[name])
    with pytest.raises(UntrustedBundleError, match=r"configs/logging\.conf, \w+#\w+: "):
        run_bundle(root, "train", "run", {})
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["arguments", "class", "formatter", "formatter_defaults"])
def test_not_even_trust_lets_logging_run_code(name: str, tmp_path: Path) -> None:
    root = stranger(tmp_path, {"run": ["$1"]}, tmp_path / "marker", logging=LOGGING_ATTACKS[name])
    with pytest.raises(BundleError, match="trust does not allow it"):
        run_bundle(root, "train", "run", {}, is_trusted=True)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("macro", "file"), [("notes.json\n", "notes.json"), ("a::b.json", "a::b.json"), ("a#b.yml", "a::b.yml")]
)
def test_a_macro_brings_in_no_file_that_nobody_inspected(
    macro: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MONAI finds the file from the working folder; texts outside of configs/ are not inspected.
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "marker"
    root = stranger(tmp_path, {"run": [f"%stranger/models/{macro}"]}, marker)
    (root / "models").mkdir()
    (root / "models" / file).write_text(placed(RUN_BY_MONAI["os_system_as_target"]["run"], marker))
    with pytest.raises(UntrustedBundleError, match="text of another file"):
        run_bundle(root, "train", "run", {})
    assert not marker.exists()


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that would leave a marker whatever of it is run."""
    monkeypatch.chdir(tmp_path)
    code = "$open('MARKER', 'w')"
    ids = ("inferer", "preprocessing", "model", "detector", "dataset", "network_def", "recipe", "network")
    train = {"preprocessing": code, "dataset": code, "dataloader": code}
    values = ("on_error", "input", "output", "split", "device", "engine", "precision", "weights", "evaluator")
    content = {**dict.fromkeys(ids + values, code), "train": train, "training": [code], "run": [code]}
    return stranger(tmp_path, content, tmp_path / "marker")


def test_every_function_that_runs_a_bundle_refuses_it(trap: Path) -> None:
    doors: list[Any] = [
        lambda: run_bundle(trap, "train", "run", {}),
        lambda: run_bundle(trap, "train", "run", {}, overlays=["evaluate.json"]),
        lambda: bundle_parts(trap, ("detector",)),
        lambda: load_marker(trap),
        lambda: bundle_explainer(trap, {}),
        lambda: export_bundle(trap, "onnx", ExportOptions(check=trap / "m.json")),
    ]
    for door in doors:
        with pytest.raises(UntrustedBundleError):
            door()
    assert not (trap.parent / "marker").exists()


def test_every_verb_that_runs_a_bundle_refuses_it(trap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trap.parent / "film.png").write_bytes(b"no image")
    bundle = ["--bundle", str(trap)]
    verbs = [
        ["train", *bundle],
        ["predict", "film.png", *bundle, "-o", "d.json"],
        ["predict", "film.png", *bundle, *bundle, "-o", "d.json", "--fuse", "wbf", "--uncalibrated"],
        ["saliency", "film.png", *bundle, "-o", "maps"],
        ["prepare", "manifest.json", "--out", "prepared", *bundle],
    ]
    for verb in verbs:
        assert main(verb) == 2, verb
        assert "would run what is not known to be safe" in capsys.readouterr().err, verb
    assert not (trap.parent / "marker").exists()


def test_trust_runs_what_is_refused_without_it(trap: Path) -> None:
    with pytest.raises(UntrustedBundleError):
        run_bundle(trap, "train", "run", {})
    run_bundle(trap, "train", "run", {}, is_trusted=True)
    assert (trap.parent / "marker").exists()


def test_the_folder_of_an_inspected_bundle_is_not_searched_for_modules(tmp_path: Path) -> None:
    safe = stranger(tmp_path, {"run": ["$1 + 1"]}, tmp_path / "marker")
    before = list(sys.path)
    run_bundle(safe, "train", "run", {})
    assert sys.path == before
    (safe / "scripts").mkdir()
    (safe / "scripts" / "net.py").write_text("")
    with pytest.raises(
        UntrustedBundleError, match=r"scripts/net\.py: net\.py \(Python that a run can import\)"
    ):
        run_bundle(safe, "train", "run", {})


def test_what_is_run_is_what_was_inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = stranger(tmp_path, {"run": ["$1 + 1"]}, tmp_path / "marker", logging="[handler_x]\n"
                    "class=NullHandler\nargs=()\n[formatter_f]\n")  # fmt: skip
    evil = placed({"run": [RUN_BY_MONAI["open_in_expression"]["run"]]}, tmp_path / "marker")

    def swapped(*arguments: Any, **options: Any) -> Any:
        found = admitted(*arguments, **options)
        for name in ("train", "inference"):
            (root / "configs" / f"{name}.json").write_text(evil)
        attack = LOGGING_ATTACKS["arguments"].replace("MARKER", str(tmp_path / "marker"))
        (root / "configs" / "logging.conf").write_text(attack)
        return found

    monkeypatch.setattr("mammo_monai.bundle.run.admitted", swapped)
    monkeypatch.setattr("mammo_monai.bundle.parts.admitted", swapped)
    run_bundle(root, "train", "run", {})
    assert not (tmp_path / "marker").exists()
    logging.getLogger().handlers.clear()


def test_links_out_of_a_bundle_are_refused(tmp_path: Path) -> None:
    root = stranger(tmp_path, {"run": ["$1"]}, tmp_path / "marker")
    (root / "models").symlink_to(tmp_path)
    with pytest.raises(UntrustedBundleError, match=r"models: models \(leads to another place\)"):
        admitted(root)


def test_results_and_checkpoints_of_own_runs_shut_nobody_out(tmp_path: Path) -> None:
    root = stranger(tmp_path, {"run": ["$1"]}, tmp_path / "marker")
    for name in ("eval/detections.json", "training/x.json", "models/notes.json"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text('{"image": "/data/x.png"}')
    (root / "models" / "checkpoint.pt").write_bytes(b"read as tensors only, by whoever reads it")
    assert admitted(root)[1] is False


@pytest.mark.parametrize("name", [each for each in RUN_BY_MONAI if each != "letters_that_look_alike"])
def test_overrides_of_a_strangers_experiment_are_inspected(name: str) -> None:
    assert inspect_values(RUN_BY_MONAI[name], "overrides").outside
    assert not inspect_values({"manifest": "/data/m.json", "epochs": 3, "init": "none"}, "overrides").outside
