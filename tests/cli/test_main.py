"""The command's entry: help without torch, one line per error, exit codes; the verbs `train` and `bundle`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mammo_monai import __version__
from mammo_monai.bundle import find_bundle
from mammo_monai.cli import main as entry
from mammo_monai.cli.main import VERBS, build_parser, main
from mammo_monai.errors import ManifestError


def test_help_lists_every_verb_and_imports_no_torch() -> None:
    code = (
        "import sys; from mammo_monai.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    )
    code += "print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(verb in done.stdout for verb in VERBS)
    assert "never diagnoses" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"


def test_every_verb_has_a_runner_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
    assert capsys.readouterr().out.count("usage: mammo-monai") == len(VERBS)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"mammo-monai {__version__}\n"


@pytest.mark.parametrize("fault", [ManifestError("row 3 is bad"), OSError("no space"), ValueError("odd")])
def test_an_error_is_one_line_and_exit_code_2(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise fault

    monkeypatch.setattr("mammo_monai.cli.bundle.run", fail)
    assert main(["bundle", "list"]) == 2
    assert capsys.readouterr().err == f"mammo-monai bundle: {fault}\n"
    with pytest.raises(type(fault)):
        main(["--verbose", "bundle", "list"])


def test_a_package_that_is_missing_or_broken_is_one_line_that_leads_to_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace) -> int:
        monkeypatch.setitem(sys.modules, "itk", None)
        __import__("itk")
        return 0

    monkeypatch.setattr("mammo_monai.cli.bundle.run", fail)
    assert main(["bundle", "list"]) == 2
    assert capsys.readouterr().err == (
        "mammo-monai bundle: import of itk halted; None in sys.modules. "
        "A package is missing or broken: mammo-monai doctor names it, and how to mend it.\n"
    )
    with pytest.raises(ImportError, match="itk"):
        main(["--verbose", "bundle", "list"])


def test_an_interrupted_command_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("mammo_monai.cli.bundle.run", interrupt)
    assert main(["bundle", "list"]) == 130
    assert "goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["doctor", "evaluate d.json --manifest m.json -o x.json"])
def test_an_interrupted_verb_that_begins_anew_promises_nothing(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"mammo_monai.cli.{words.split(maxsplit=1)[0]}.run", interrupt)
    assert main(words.split()) == 130
    assert capsys.readouterr().err == "interrupted.\n"


def test_an_interruption_before_the_verb_runs_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> argparse.ArgumentParser:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "build_parser", interrupt)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "interrupted.\n"


def test_an_unknown_option_is_refused_where_it_overrides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bundle", "list", "--learning_rate", "1"])
    assert stopped.value.code == 2
    assert "--learning_rate" in capsys.readouterr().err


def test_bundle_list_check_and_sync(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "list"]) == 0
    assert "coco_to_cbis_mass_retinanet" in capsys.readouterr().out
    assert main(["bundle", "check"]) == 0
    assert "without faults" in capsys.readouterr().out
    names = ("coco_to_cbis_mass_retinanet", "cbis_to_inbreast_mass_retinanet")
    ignored = shutil.ignore_patterns("models", "eval")
    copies = [str(shutil.copytree(find_bundle(name), tmp_path / name, ignore=ignored)) for name in names]
    assert main(["bundle", "sync", *copies]) == 0
    assert capsys.readouterr().out == ""  # nothing to rewrite
    config = tmp_path / names[1] / "configs" / "train.json"
    config.write_text(config.read_text().replace('"val_interval": 1', '"val_interval": 7'))
    assert main(["bundle", "sync", *copies]) == 0
    assert capsys.readouterr().out == f"rewrote {config}\n"


@pytest.mark.parametrize(
    ("named", "got"), [([], "none"), (["coco_to_cbis_mass_retinanet"], "coco_to_cbis_mass_retinanet")]
)
def test_bundle_sync_never_guesses_which_bundles_it_rewrites(
    named: list[str], got: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mammo_monai.bundle.sync.synchronise", lambda first, others: pytest.fail("rewrote"))
    assert main(["bundle", "sync", *named]) == 2
    assert capsys.readouterr().err == (
        "mammo-monai bundle: sync needs at least two bundles, FIRST OTHER…: the others are rewritten after "
        f"the first; got {got}.\n"
    )


def test_bundle_check_prints_faults_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "configs").mkdir()
    assert main(["bundle", "check", str(tmp_path)]) == 2
    assert "LICENSE is missing" in capsys.readouterr().out


def test_train_passes_named_and_other_values_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    calls: list[Any] = []

    class _Workflow:
        class parser:  # noqa: N801  # stands for MONAI's attribute
            @staticmethod
            def get_parsed_content(name: str) -> str:
                return f"the {name}"

    def run_bundle(*args: Any, **options: Any) -> _Workflow:
        calls.append((args, options))
        return _Workflow()

    monkeypatch.setattr("mammo_monai.bundle.run_bundle", run_bundle)
    code = main(["train", "--bundle", "b", "--epochs", "3", "--config", "o.json", "--learning_rate", "1e-4"])
    assert code == 0
    assert calls == [
        (
            ("b", "train", "training", {"epochs": 3, "learning_rate": 1e-4}),
            {"overlays": ["o.json"], "is_trusted": False},
        ),
    ]
    assert capsys.readouterr().out == "weights: the output_dir/model.safetensors\n"


def test_the_parser_is_built_without_running_a_verb() -> None:
    assert isinstance(build_parser(), argparse.ArgumentParser)
    assert entry.DESCRIPTION
