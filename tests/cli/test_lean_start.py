"""Hidden packages: gone while MONAI is imported, back afterwards; and only in a process that predicts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from mammo_monai.cli import lean_start, main


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tracks_things.py").write_text("is_here = True")
    yield "tracks_things"
    sys.modules.pop("tracks_things", None)


def test_a_hidden_package_cannot_be_imported_until_the_end(package: str) -> None:
    with lean_start.hidden([package]), pytest.raises(ImportError):
        importlib.import_module(package)
    assert importlib.import_module(package).is_here


def test_a_package_comes_back_after_an_error(package: str) -> None:
    with pytest.raises(RuntimeError), lean_start.hidden([package]):
        raise RuntimeError
    assert importlib.import_module(package).is_here


def test_a_package_that_is_loaded_stays(package: str) -> None:
    loaded = importlib.import_module(package)
    with lean_start.hidden([package]):
        assert importlib.import_module(package) is loaded
    assert sys.modules[package] is loaded


@pytest.mark.parametrize(
    ("arguments", "verb", "is_lean"),
    [(None, "predict", True), (None, "train", False), (["predict"], "predict", False)],
)
def test_only_a_process_that_predicts_starts_lean(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str] | None, verb: str, is_lean: bool
) -> None:
    called: list[str] = []
    monkeypatch.setattr(lean_start, "import_for_prediction", lambda: called.append("lean"))
    main.start(arguments, verb)
    assert called == ["lean"] * is_lean
