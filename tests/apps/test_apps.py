import errno
import os
import shutil
from pathlib import Path

import pytest

from mammo_monai.apps import APPS, app_folder, copy_app
from mammo_monai.apps.folders import new_folder
from mammo_monai.errors import BundleError


def test_the_label_application_is_a_folder_that_monai_label_starts() -> None:
    folder = app_folder("monai-label")
    assert folder.is_absolute()
    assert (folder / "main.py").is_file()
    assert "monai-label" in APPS


@pytest.mark.parametrize("name", ["monai_label", "", "../bundle", "nothing"])
def test_an_unknown_application_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(BundleError, match=r"not found: expected monai-deploy or monai-label"):
        app_folder(name)


def test_a_copy_is_the_application_without_what_runs_left(tmp_path: Path) -> None:
    copy = copy_app("monai-label", tmp_path / "mine")
    names = {path.name for path in copy.iterdir()}
    assert {"main.py", "stand_in", "application.py"} <= names
    assert names.isdisjoint({"bin", "lib", "logs", "model", "__pycache__"})


def test_a_copy_is_not_mixed_with_other_files(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected nothing there"):
        copy_app("monai-label", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_ends_in_the_middle_leaves_nothing_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, target: Path) -> None:
        target.touch()
        assert not (tmp_path / "mine").exists()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(OSError, match=r"could not write .*mine: No space left on device\. .*Make room"):
        copy_app("monai-label", tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_of_two_copies_to_one_place_the_second_is_told_so(tmp_path: Path) -> None:
    def slower() -> None:
        with new_folder(tmp_path / "mine") as part:
            (part / "second").touch()
            with new_folder(tmp_path / "mine") as faster:
                (faster / "first").touch()

    with pytest.raises(BundleError, match="is there already"):
        slower()
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "first"]


def test_a_copy_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, rename, fsync = set(), Path.rename, os.fsync

    def noted(descriptor: int) -> None:
        flushed.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def moved(path: Path, target: Path) -> Path:
        missing = [each for each in (path, *path.rglob("*")) if each.stat().st_ino not in flushed]
        assert not missing
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "rename", moved)
    assert copy_app("monai-deploy", tmp_path / "mine").is_dir()
    assert flushed
