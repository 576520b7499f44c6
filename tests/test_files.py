import errno
import hashlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.files import (
    atomic_path,
    content_sha256,
    in_words,
    sha256_of,
    write_json_atomic,
    write_text_atomic,
)


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
    with pytest.raises(OSError, match=f"could not write {tmp_path}/taken: it is a folder; name a file"):
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


def test_a_folders_hash_is_that_of_what_its_commands_finished(tmp_path: Path) -> None:
    (tmp_path / "part-000000.parquet").write_bytes(b"shard")
    before = content_sha256(tmp_path)
    (tmp_path / ".part-000001.parquet.00000000.part.parquet").write_bytes(b"half")
    (tmp_path / ".DS_Store").write_bytes(b"a desktop's")
    assert content_sha256(tmp_path) == before


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


def made_pipe(path: Path) -> None:
    os.mkfifo(path)


def made_socket(path: Path) -> None:
    # A socket's name may have no more than 108 bytes: made under a short one, then moved.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def made_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [made_pipe, made_socket, made_link_to_a_device])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "out.json"
    make(path)
    before = path.lstat()
    with pytest.raises(
        OSError, match=f"could not write {path}: it is a device or a pipe.*Nothing was changed"
    ):
        write_text_atomic(path, "x")
    assert path.lstat() == before
    assert names_in(tmp_path) == ["out.json"]


def test_a_symbolic_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("elsewhere/real.json")
    write_text_atomic(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "elsewhere" / "real.json").read_text() == "new"
    assert names_in(tmp_path / "elsewhere") == ["real.json"]


def test_a_link_to_nothing_gets_its_file(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "new" / "real.json")
    write_text_atomic(tmp_path / "link.json", "new")
    assert (tmp_path / "new" / "real.json").read_text() == "new"


def test_links_in_a_ring_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=f"could not write {tmp_path}/a: Too many levels of symbolic links"):
        write_text_atomic(tmp_path / "a", "x")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_replaced_file_hands_its_permissions_on(old: Path, mode: int) -> None:
    old.chmod(mode)
    with atomic_path(old) as part:
        assert part.stat().st_mode & 0o077 == mode & 0o077  # nor may others read what is being written
        part.write_text("new")
    assert (old.read_text(), stat.S_IMODE(old.stat().st_mode)) == ("new", mode)


@pytest.mark.parametrize(
    "name", ["x" * 255, "x" * 250 + ".json", "ä" * 127, "a." + "b" * 253, "日" * 83 + ".jsonl", "." * 200]
)
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as part:
        assert len(os.fsencode(part.name)) <= 255
        part.write_text("x")
    assert names_in(tmp_path) == [name]


def test_a_name_that_is_too_long_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(
        OSError, match=f"could not write {tmp_path}/x+: File name too long. Nothing was changed"
    ):
        write_text_atomic(tmp_path / ("x" * 256), "x")


def test_names_of_any_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xff\xe9 \n'\".json")
    write_text_atomic(path, "x")
    assert os.listdir(os.fsencode(tmp_path)) == [b"b\xff\xe9 \n'\".json"]  # noqa: PTH208  # bytes


def test_a_file_name_that_is_no_text_is_not_called_an_undefined_figure(old: Path) -> None:
    with pytest.raises(ValueError, match=r"films/\\udcff\.dcm.* is no text: .*Rename that file"):
        write_json_atomic(old, {"image": os.fsdecode(b"films/\xff.dcm")})
    assert old.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Make room, or write to another disk."),
        (errno.EDQUOT, "Make room, or write to another disk."),
        (errno.EFBIG, "Make room, or write to another disk."),
        (errno.EROFS, "Choose a folder that can be written."),
        (errno.EACCES, "Choose a folder that can be written."),
        (errno.ESTALE, "See whether the disk or share is still there."),
        (errno.EIO, "See whether the disk or share is still there."),
    ],
)
@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
def test_every_fault_of_the_disk_names_the_file_and_the_remedy(
    old: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    owner = {"write": Path, "fsync": os, "replace": Path, "open": os}[call]
    monkeypatch.setattr(owner, "write_text" if call == "write" else call, fail)
    with pytest.raises(OSError, match=re.escape(str(old))) as caught:
        write_text_atomic(old, "new")
    monkeypatch.undo()
    reason = f"could not write {old}: {os.strerror(number)}. Nothing was changed. {remedy}"
    assert (caught.value.errno, caught.value.strerror) == (number, reason)
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["metrics.json"]


def test_the_new_name_is_on_the_disk_before_the_block_is_left(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, old.read_text()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_text_atomic(old, "new")
    assert flushed == [(old.stat().st_ino, "old"), (old.parent.stat().st_ino, "new")]


def test_folders_made_for_a_file_are_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        flushed.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    path = tmp_path / "run" / "fold-1" / "done.json"
    write_text_atomic(path, "whole")
    # A name is in the folder above: what holds the new folders' names is flushed as well.
    assert flushed == {each.stat().st_ino for each in (path, *path.parents[:3])}


def test_a_file_system_that_flushes_no_folders_is_no_obstacle(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_text_atomic(old, "new")
    assert old.read_text() == "new"


def test_an_error_of_a_current_folder_that_was_removed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        Path("detections.json").resolve()
    assert in_words(raised.value) == (
        "the current folder was removed, or moved. Change to one that is there, with cd."
    )
    monkeypatch.chdir(tmp_path)
    assert in_words(raised.value) == "No such file or directory"
