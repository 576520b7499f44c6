"""What a killed writer left is taken over, what a living one writes is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mammo_monai import parts
from mammo_monai.files import atomic_path
from mammo_monai.parts import is_part_name, own_part, own_part_folder, part_name, remove_leftovers

WRITE_HALF = """
import os, pathlib, signal, sys
from mammo_monai.files import atomic_path
with atomic_path(pathlib.Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write(path: Path, text: str) -> None:
    with atomic_path(path) as part:
        part.write_text(text)


def test_what_a_killed_writer_left_is_gone_after_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    ended = subprocess.run([sys.executable, "-c", WRITE_HALF, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [each.name for each in tmp_path.iterdir()] == [part_name("d.json")]
    write(path, "whole")
    assert [each.name for each in tmp_path.iterdir()] == ["d.json"]
    assert path.read_text() == "whole"


def test_two_writers_of_one_file_do_not_touch_each_other(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    with atomic_path(path) as first:
        first.write_text("first")
        with atomic_path(path) as second:
            assert second != first
            second.write_text("second")
        assert (path.read_text(), first.read_text()) == ("second", "first")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_removes_its_own_file_only(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    with own_part(path) as first:
        with pytest.raises(KeyError), own_part(path):
            raise KeyError
        assert list(tmp_path.iterdir()) == [first]
        first.replace(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_unfinished_file_is_left_alone(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    odd = tmp_path / part_name("d.json")
    make(odd)
    write(tmp_path / "d.json", "whole")
    assert (tmp_path / "d.json").read_text() == "whole"
    assert {each.name for each in tmp_path.iterdir()} == {odd.name, "d.json"}


def test_without_locks_every_writer_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "HAS_LOCKS", False)
    (tmp_path / part_name("d.json")).write_text("perhaps still written")
    write(tmp_path / "d.json", "whole")
    assert (tmp_path / part_name("d.json")).read_text() == "perhaps still written"
    assert (tmp_path / "d.json").read_text() == "whole"


BUILD_HALF = """
import os, pathlib, signal, sys
from mammo_monai.parts import own_part_folder
with own_part_folder(pathlib.Path(sys.argv[1])) as part:
    (part / "a").mkdir()
    (part / "a" / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_that_a_killed_process_left_is_gone_after_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    ended = subprocess.run([sys.executable, "-c", BUILD_HALF, str(folder)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert is_part_name(left.name)
    with own_part_folder(folder) as part:
        assert list(tmp_path.iterdir()) == [part]
        (part / "whole").touch()
        part.rename(folder)
    assert [each.relative_to(tmp_path) for each in tmp_path.rglob("*")] == [Path("app"), Path("app/whole")]


def test_two_processes_that_build_one_folder_do_not_touch_each_other(tmp_path: Path) -> None:
    with own_part_folder(tmp_path / "a[b]") as first:
        (first / "file").touch()
        with own_part_folder(tmp_path / "a[b]") as second:
            assert set(tmp_path.iterdir()) == {first, second}
        assert [each.name for each in first.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_folder_go_and_what_is_written_stays(tmp_path: Path) -> None:
    (tmp_path / part_name("gone.json")).touch()
    (tmp_path / ".hidden.part").touch()
    with own_part(tmp_path / "d.json") as part:
        remove_leftovers(tmp_path)
        assert {each.name for each in tmp_path.iterdir()} == {".hidden.part", part.name}


def test_without_locks_no_folder_is_taken_for_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "HAS_LOCKS", False)
    perhaps = tmp_path / ".app.0a1b2c3d.part"
    perhaps.mkdir()
    with own_part_folder(tmp_path / "app") as part:
        assert part != perhaps
    assert list(tmp_path.iterdir()) == [perhaps]
