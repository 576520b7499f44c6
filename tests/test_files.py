import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.files import atomic_path, content_sha256, sha256_of, write_json_atomic, write_text_atomic


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.json"
    path.write_text("old")
    return path


def test_the_new_content_replaces_the_old_and_nothing_else_remains(old: Path) -> None:
    write_text_atomic(old, "new ≥ 1\n")
    assert old.read_text(encoding="utf-8") == "new ≥ 1\n"
    assert names_in(old.parent) == ["metrics.json"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_readers_see_the_old_content_until_the_block_ends(old: Path) -> None:
    with atomic_path(old) as part:
        part.write_text("new")
        assert old.read_text() == "old"
        assert part.parent == old.parent
        assert part.suffix == ".json"
    assert old.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_the_old_content(old: Path, error: BaseException) -> None:
    def write_half() -> None:
        with atomic_path(old) as part:
            part.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["metrics.json"]


def test_a_full_disk_leaves_the_old_content_and_names_the_file(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(path: Path, text: str, **_: object) -> None:
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(
        OSError, match=f"could not write {old}: No space left.* Nothing was changed"
    ) as caught:
        write_text_atomic(old, "new content")
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["metrics.json"]


def test_a_disk_that_fills_at_the_flush_leaves_the_old_content(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"could not write {old}: No space left"):
        write_json_atomic(old, {"a": 1})
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["metrics.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_the_kernels_own_full_device_is_reported_with_the_final_name(old: Path) -> None:
    def write_to_the_full_device() -> None:
        with atomic_path(old) as part:
            part.unlink()
            part.symlink_to("/dev/full")
            part.write_text("new")

    with pytest.raises(OSError, match=f"could not write {old}: No space left"):
        write_to_the_full_device()
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["metrics.json"]


KILLED_WHILE_WRITING = """
import sys, pathlib
from mammo_monai.files import atomic_path
with atomic_path(pathlib.Path(sys.argv[1])) as part:
    with part.open("w") as stream:
        stream.write("half")
        stream.flush()
        print("half written", flush=True)
        sys.stdin.read()
"""


def test_a_kill_in_the_middle_leaves_the_old_content(old: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(old)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half written\n"
        writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL
    assert old.read_text() == "old"
    write_text_atomic(old, "new")  # what the kill left behind is in nobody's way
    assert old.read_text() == "new"


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match=f"could not write {tmp_path}/taken: Is a directory"):
        write_text_atomic(tmp_path / "taken", "x")
    assert names_in(tmp_path) == ["taken"]


def test_a_file_in_the_place_of_the_folder_is_named(old: Path) -> None:
    with pytest.raises(OSError, match=f"could not write {old}/a.json: "):
        write_text_atomic(old / "a.json", "x")
    assert old.read_text() == "old"


def test_another_files_fault_inside_the_block_keeps_its_own_name(old: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.csv") as caught, atomic_path(old) as part:
        part.write_text((tmp_path / "missing.csv").read_text())
    assert "could not write" not in str(caught.value)
    assert names_in(tmp_path) == ["metrics.json"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_text_atomic(tmp_path / "a.txt", "x")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last
    assert names_in(tmp_path) == ["a.txt"]


def test_json_ends_with_a_line_break_and_keeps_letters(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "a.json", {"naïve": [1, None]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n "naïve": [\n  1,\n  null\n ]\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_undefined_numbers_and_names_the_file(old: Path, value: float) -> None:
    with pytest.raises(ValueError, match=f"could not write {old}: .*Undefined figures are null in JSON"):
        write_json_atomic(old, {"sensitivity": value})
    assert old.read_text() == "old"


@given(content=st.binary(max_size=100), repeats=st.sampled_from([1, 30_000]))
def test_sha256_is_that_of_the_bytes(
    content: bytes, repeats: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.bin"
    path.write_bytes(content * repeats)
    assert sha256_of(path) == hashlib.sha256(content * repeats).hexdigest()


def test_a_folders_hash_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "d.parquet"
    folder.mkdir()
    (folder / "part-000000.parquet").write_bytes(b"one")
    (folder / "model.json").write_bytes(b"{}")
    before = content_sha256(folder)
    assert content_sha256(folder) == before
    assert content_sha256(folder / "model.json") == sha256_of(folder / "model.json")
    (folder / "model.json").write_bytes(b"[]")
    changed = content_sha256(folder)
    (folder / "part-000000.parquet").rename(folder / "part-000001.parquet")
    assert len({before, changed, content_sha256(folder)}) == 3
