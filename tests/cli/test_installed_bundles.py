"""Commands that write into a bundle: one's own or a clone's, unasked into none of the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mammo_monai.bundle import find, refuse_to_write_into_installed
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError

COMMANDS = (
    (("train", "--bundle", "the_shipped"), "--output-dir runs/the_shipped"),
    (("train", "--bundle", "the_shipped", "--config", "overlay.json"), "--output-dir runs/the_shipped"),
    (("bundle", "export", "the_shipped", "--engine", "onnx"), "-o exported"),
    (("bundle", "statistics", "the_shipped", "--manifest", "m.json"), "-o training_statistics.json"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of shipped bundles with one of them; the commands run beside it."""
    home = tmp_path / "site-packages" / "_bundles"
    (home / "the_shipped" / "configs").mkdir(parents=True)
    monkeypatch.setattr(find, "SHIPPED", (home, tmp_path / "nowhere"))
    monkeypatch.setattr(find, "INSTALLED", home)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("overlay.json").write_text('{"epochs": 1}')
    return home


@pytest.mark.parametrize(("words", "option"), COMMANDS)
def test_a_shipped_bundle_called_by_its_name_is_not_written_to(
    home: Path, words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(home.rglob("*"))
    assert main(list(words)) == 2
    said = capsys.readouterr().err
    assert f"{home / 'the_shipped'}: this bundle is part of the installed package" in said
    assert f"Say where it goes ({option}), or copy the folder" in said
    assert sorted(home.rglob("*")) == before


def test_ones_own_bundle_and_a_named_folder_are_written_to(home: Path) -> None:
    Path("bundles/mine/configs").mkdir(parents=True)
    Path("bundles/the_shipped/configs").mkdir(parents=True)
    for name in ("mine", "the_shipped", "bundles/mine", home / "the_shipped", "none such"):
        refuse_to_write_into_installed(name, "-o x")


def test_a_clones_own_bundle_is_written_to_from_anywhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone" / "bundles"
    monkeypatch.setattr(find, "SHIPPED", (home, clone))
    (clone / "a_clones" / "configs").mkdir(parents=True)
    refuse_to_write_into_installed("a_clones", "-o x")
    with pytest.raises(BundleError, match="part of the installed package"):
        refuse_to_write_into_installed("the_shipped", "-o x")


@pytest.mark.parametrize(
    "words", [("--output-dir", "out"), ("--output_dir", "out"), ("--config", "own.json")]
)
def test_a_training_that_says_where_is_run(
    home: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("own.json").write_text('{"output_dir": "out"}')
    ran: list[Any] = []

    def run_bundle(*given: Any, **_: Any) -> Any:
        ran.append(given)
        raise BundleError("far enough")

    monkeypatch.setattr("mammo_monai.bundle.run_bundle", run_bundle)
    assert main(["train", "--bundle", "the_shipped", *words]) == 2
    assert len(ran) == 1
