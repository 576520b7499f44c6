"""Disks: room, names, locks, and shares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.doctor import disk
from mammo_monai.doctor.disk import Place, file_system_of, findings, look_at, place_finding, shared_finding
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.hiding import for_others

SOUND = Place(Path("/data"), "ext4", 100.0, 10**6, has_locks=True)


def test_places_here_are_looked_at_and_left_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path / "cache" / "deeper"))
    said = [each for each in findings({"output": str(tmp_path)}) if isinstance(each, Finding)]
    assert {each.name for each in said} >= {"output", "cache", "torch's cache", "temporary files"}
    assert not [each for each in said if each.name in ("output", "cache") and "locks hold" not in each.found]
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_folder_is_not_told_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (output, *_) = (each for each in findings({"output": "ward 3/anna"}) if isinstance(each, Finding))
    assert "ward 3/anna" in output.found
    assert "anna" not in json.dumps(for_others(output).as_json())


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({}, "ok", "100.0 GB free, ext4; locks hold"),
        ({"free_gb": 3.0}, "warning", "3.0 GB free"),
        ({"free_gb": 0.1}, "fault", "0.1 GB free"),
        ({"files_left": 10}, "warning", "10 more files"),
        ({"has_locks": False}, "warning", "locks do not hold"),
        ({"file_system": "nfs4"}, "warning", "a network share"),
        ({"error": "Read-only file system"}, "fault", "/data: Read-only file system"),
        ({"files_left": None, "file_system": ""}, "ok", "file system unknown"),
    ],
)
def test_what_a_place_lacks_is_said(changes: dict[str, object], level: str, said: str) -> None:
    found = place_finding("output", replace(SOUND, **changes), "-o")  # type: ignore[arg-type]
    assert found.level.value == level
    assert said in found.found
    assert bool(found.fix) == (level != "ok")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk, "own_part_folder", refuse)
    assert look_at(tmp_path).error == "Permission denied"
    monkeypatch.setattr(disk.os, "statvfs", refuse)
    assert look_at(tmp_path).free_gb == 0.0


def test_what_a_killed_look_left_is_gone_after_the_next(tmp_path: Path) -> None:
    (tmp_path / ".mammo-monai-doctor.0a1b2c3d.part" / "half").mkdir(parents=True)
    assert look_at(tmp_path).error == ""
    assert list(tmp_path.iterdir()) == []


def test_without_home_and_temporary_folder_there_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk.places, "home", lambda: None)
    monkeypatch.setattr(disk.places, "temporary", lambda: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("MAMMO_MONAI_CACHE", raising=False)
    found = {each.name: each for each in findings({"output": str(tmp_path)}) if isinstance(each, Finding)}
    assert {"home", "temporary files"} <= {name for name, each in found.items() if each.level is Level.FAULT}
    assert "cache" not in found
    assert found["temporary files"].fix.startswith("export TMPDIR=")


def test_a_folder_for_temporary_files_that_is_passed_over_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk.places, "temporary", lambda: tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    (found,) = disk._without_a_place()
    assert (found.level, found.private) == (Level.WARNING, (f"{tmp_path}/full",))
    assert found.found.endswith(f"where nothing can be written: {tmp_path} is used instead")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert list(disk._without_a_place()) == []


def test_a_folder_below_one_that_may_not_be_entered_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for another user than root, whom no mode keeps out."""
    closed, stat = tmp_path / "closed", Path.stat
    closed.mkdir()

    def refuse(path: Path, **options: bool) -> object:
        if closed in path.parents:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    assert look_at(closed / "deeper" / "queue").path == closed / "deeper" / "queue"


def test_a_current_folder_that_was_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert look_at(Path()).error == "No such file or directory"


def test_locks_that_let_two_in_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def free_for_all(path: Path) -> Iterator[None]:
        path.touch()
        yield

    assert look_at(tmp_path).has_locks is True
    monkeypatch.setattr(disk, "file_lock", free_for_all)
    assert look_at(tmp_path).has_locks is False


def test_little_shared_memory_is_a_warning() -> None:
    assert shared_finding(0.06).fix.startswith("docker run --shm-size")
    assert shared_finding(8.0).level is Level.OK


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:1 / /a\\040b rw - cifs //x rw\nodd line\n3 1 0:2 / /a rw -\n"
    )
    assert file_system_of(Path("/a b/films"), mounts) == "cifs"
    assert file_system_of(Path("/abc"), mounts) == "ext4"
    assert file_system_of(Path("/abc"), "") == ""


def test_where_mounts_are_not_told_the_file_system_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_MOUNTS", Path("/nowhere"))
    assert disk._mounts() == ""
