import errno
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from mammo_monai import locks
from mammo_monai.locks import UNKNOWN, LockHeldError, file_lock, holder_of

fcntl = pytest.importorskip("fcntl")

HOLDER = """
import sys
from pathlib import Path
from mammo_monai.locks import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_a_second_holder_is_told_who_has_it_and_a_killed_one_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path) as holder:
        with pytest.raises(LockHeldError) as caught, file_lock(path):
            pass
        machine = re.escape(platform.node())
        words = rf"process {holder.pid} on {machine} since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC"
        assert re.fullmatch(words, caught.value.holder)
        assert str(path) in str(caught.value)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert path.exists()
        with file_lock(path):
            assert holder_of(path).startswith(f"process {os.getpid()} on ")


def test_the_same_process_does_not_get_it_twice_and_gets_it_again_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with pytest.raises(LockHeldError), file_lock(path), file_lock(path):
        pass
    with file_lock(path):
        pass


def test_patience_waits_for_the_holder_to_end(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", []

    def wait() -> None:
        with file_lock(path, patience_s=20):
            order.append("second")

    with file_lock(path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.15)
        order.append("first ends")
    waiting.join()
    assert order == ["first ends", "second"]


def test_patience_does_not_follow_the_wall_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: -1e12)
    with (
        file_lock(tmp_path / "lock"),
        pytest.raises(LockHeldError),
        file_lock(tmp_path / "lock", patience_s=0.1),
    ):
        pass


@pytest.mark.parametrize("keeps_file", [True, False])
def test_the_file_stays_or_goes_as_asked(tmp_path: Path, keeps_file: bool) -> None:
    with file_lock(tmp_path / "lock", keeps_file=keeps_file):
        assert (tmp_path / "lock").exists()
    assert (tmp_path / "lock").exists() == keeps_file


def test_a_lock_that_took_the_place_of_a_deleted_one_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = file_lock(path, keeps_file=False), file_lock(path)
    with first:
        path.unlink()  # as by `rm -r`, while the run goes on
        second.__enter__()
    assert path.exists()
    with pytest.raises(LockHeldError), file_lock(path):
        pass
    second.__exit__(None, None, None)


def test_a_file_removed_between_its_opening_and_its_locking_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock, removed = tmp_path / "lock", fcntl.flock, []

    def removing(descriptor: int, how: int) -> None:
        if not removed:
            removed.append(path.unlink())
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", removing)
    with file_lock(path):
        assert path.exists()
        with pytest.raises(LockHeldError), file_lock(path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with file_lock(tmp_path / "lock"):
        pass
    assert [each.message for each in caplog.records] == [
        f"{tmp_path}: this file system has no locks; let one run at a time write here."
    ]


def test_another_fault_of_the_file_system_is_raised_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", broken)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(OSError, match="Input/output error"), file_lock(tmp_path / "lock"):
        pass
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_full_disk_keeps_the_lock_and_loses_its_holders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with file_lock(tmp_path / "lock"), pytest.raises(LockHeldError) as caught, file_lock(tmp_path / "lock"):
        pass
    assert caught.value.holder == UNKNOWN


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content")
    (tmp_path / "lock").symlink_to("precious")
    with pytest.raises(OSError, match=r"lock"), file_lock(tmp_path / "lock"):
        pass
    assert (tmp_path / "precious").read_text() == "content"


def test_what_stands_in_the_file_cannot_write_lines_or_colours_into_a_message(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\x1b[31mprocess 1\n\xff" + b"x" * 1000)
    assert holder_of(tmp_path / "lock").startswith("[31mprocess 1\ufffdxxx")
    assert len(holder_of(tmp_path / "lock")) < 200
    assert holder_of(tmp_path / "none") == UNKNOWN


def test_a_process_that_inherited_the_lock_holds_it_after_its_parent(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock") as descriptor:
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,)
        )
    with pytest.raises(LockHeldError), file_lock(tmp_path / "lock"):
        pass
    child.communicate(b"\n")
    with file_lock(tmp_path / "lock"):
        pass


def locking_as_windows_does(descriptor: int, mode: int, n_bytes: int) -> None:
    """`msvcrt.locking`: a lock of bytes from the file's position, refused as EACCES."""
    here = os.lseek(descriptor, 0, os.SEEK_CUR)
    key = (os.fstat(descriptor).st_ino, here)
    if key in WINDOWS_LOCKS and _is_open(WINDOWS_LOCKS[key], key[0]):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert n_bytes == 1
    WINDOWS_LOCKS[key] = descriptor


WINDOWS_LOCKS: dict[tuple[int, int], int] = {}


def _is_open(descriptor: int, inode: int) -> bool:
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False


def test_on_windows_a_far_byte_is_locked_so_that_the_holder_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking_as_windows_does, LK_NBLCK=2))
    path = tmp_path / "lock"
    with file_lock(path, keeps_file=False):
        with pytest.raises(LockHeldError) as caught, file_lock(path):
            pass
        assert caught.value.holder.startswith(f"process {os.getpid()} on ")
        assert min(at for _, at in WINDOWS_LOCKS) > path.stat().st_size
    assert not path.exists()


def test_a_system_without_any_locks_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    with file_lock(tmp_path / "lock"):
        pass
    assert "this file system has no locks" in caplog.text
