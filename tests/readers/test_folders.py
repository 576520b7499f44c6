"""Which folders of a data set are looked into."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.readers.folders import folders_below


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def walked(root: Path) -> dict[str, list[str]]:
    return {folder.relative_to(root).as_posix(): names for folder, names in folders_below(root)}


def lock(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Makes a folder one that may not be looked into, whoever asks."""
    look = os.scandir

    def asked(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(folder))
        return look(path)

    monkeypatch.setattr(os, "scandir", asked)


def test_each_folder_comes_once_in_order_with_its_files(tmp_path: Path) -> None:
    touch(tmp_path / "set", "b/2", "b/1", "a/1")
    touch(tmp_path / "disk", "c/1")
    (tmp_path / "set" / "a" / "circle").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "link").symlink_to(tmp_path / "disk")
    found = {".": [], "a": ["1"], "b": ["1", "2"], "link": [], "link/c": ["1"]}
    assert walked(tmp_path / "set") == found
    assert [*walked(tmp_path / "set")] == [*found]


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX"),
        *(".Trash-1000", ".git", "@Recycle"),
    ],
)
def test_what_systems_leave_behind_is_passed_over(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a/film.png", f"a/{name}/film.png/thumb.jpg", f"{name}/film.png")
    assert walked(tmp_path) == {".": [], "a": ["film.png"]}
    assert walked(tmp_path / name)["."] == ["film.png"]  # named on purpose, it is looked into


def test_a_folder_that_may_not_be_looked_into_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "a/1", "b/1", "c/1")
    lock(monkeypatch, tmp_path / "b")
    with caplog.at_level(logging.WARNING):
        assert walked(tmp_path) == {".": [], "a": ["1"], "c": ["1"]}
    assert "b: cannot be looked into, its files are not seen: Permission denied" in caplog.text
    errors: list[OSError] = []
    assert len([*folders_below(tmp_path, on_error=errors.append)]) == 3
    assert [error.filename for error in errors] == [str(tmp_path / "b")]
