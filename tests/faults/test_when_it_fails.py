"""docs/how-to/when-it-fails.md quotes what the commands really say."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from mammo_monai import locks
from mammo_monai.bundle.transfer.placing import work_folder
from mammo_monai.data.prepared_folder import locked
from mammo_monai.engines import CheckpointHandler
from mammo_monai.errors import MammoError
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.files import atomic_path, could_not_write, in_words
from mammo_monai.inference.run_lock import only_run
from mammo_monai.locks import only_writer
from mammo_monai.service.node.clock import NodeClock
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.node import _only_one
from mammo_monai.service.review import read_worklist
from mammo_monai.service.review.marks import review_json
from mammo_monai.service.review.store import ReviewStore
from tests.faults.failing_disk import FailingDisk
from tests.faults.verbs import VERBS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "when-it-fails.md"
BY_NAME = {verb.name: verb for verb in VERBS}
Tell = Callable[[Path, Path], str]


def quoted() -> list[str]:
    """The messages of the page: first cells of its tables."""
    cells = re.findall(r"^\| (``?)(.+?)\1 \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [message for _, message in cells]


def pattern_of(message: str) -> str:
    """FILE, FOLDER, HOLDER and N stand for what differs."""
    text = re.escape(message)
    holder = r"process \d+ on \S+ since \d{4}-\d\d-\d\d \d\d:\d\d UTC"
    for name, what in (("FILE", r"\S+"), ("FOLDER", r"\S+"), ("HOLDER", holder), ("N", r"[\d.]+")):
        text = re.sub(rf"\b{name}\b", lambda _, what=what: what, text)
    return text


def said(block: Callable[[], object]) -> str:
    try:
        block()
    except (MammoError, OSError) as error:
        return in_words(error)
    return ""


def twice(lock: Callable[[], object]) -> str:
    def enter() -> None:
        with ExitStack() as stack:
            stack.enter_context(lock())  # type: ignore[arg-type]  # each is a context manager
            stack.enter_context(lock())  # type: ignore[arg-type]

    return said(enter)


def writing(number: int) -> Tell:
    return lambda folder, _: in_words(could_not_write(folder / "f", OSError(number, os.strerror(number))))


def of_a_kind(make: Callable[[Path], object]) -> Tell:
    def tell(folder: Path, _: Path) -> str:
        make(folder / "out")

        def write() -> None:
            with atomic_path(folder / "out"):
                pass

        return said(write)

    return tell


def full_at(name: str, fatal: int) -> Tell:
    def tell(folder: Path, material: Path) -> str:
        with FailingDisk(folder, fatal=fatal):
            return BY_NAME[name].run(material, folder / "out").error.split(": ", 1)[1]

    return tell


def gone_at(name: str, fatal: int) -> Tell:
    def tell(folder: Path, material: Path) -> str:
        for n in range(fatal, fatal + 12):  # until it comes between two files
            out = folder / f"{n}" / "out"
            with FailingDisk(out, fatal=n, instead=lambda out=out: out.rename(out.with_name("away"))):
                error = BY_NAME[name].run(material, out).error
            if "unmounted" in error:
                return error.split(": ", 1)[1]
        return error

    return tell


def lost_writer(folder: Path, _: Path) -> str:
    def write() -> None:
        with only_writer(folder / "out" / "m.json"):
            (folder / "out").rename(folder / "away")

    return said(write)


def training(folder: Path, _: Path) -> str:
    with ExitStack() as running:
        handler = CheckpointHandler(folder)
        trainer = SimpleNamespace(while_running=running)
        handler._claimed(trainer)  # type: ignore[arg-type]  # what of a trainer it needs
        return said(lambda: handler._claimed(trainer))  # type: ignore[arg-type]


def training_gone(folder: Path, _: Path) -> str:
    with ExitStack() as running:
        handler = CheckpointHandler(folder / "out")
        handler._lock = handler._claimed(SimpleNamespace(while_running=running))  # type: ignore[arg-type]
        (folder / "out").rename(folder / "away")
        return said(handler._check_place)


@contextmanager
def review_of(folder: Path, material: Path) -> Iterator[ReviewStore]:
    with ReviewStore(
        folder / "review", read_worklist(material / "review" / "detections.json"), threshold=0.3
    ) as store:
        yield store


def reviewing(folder: Path, material: Path) -> str:
    return twice(lambda: review_of(folder, material))


def review_gone(folder: Path, material: Path) -> str:
    with review_of(folder, material) as store:
        (folder / "review").rename(folder / "away")
        return said(lambda: store.save(0, {**review_json(store.review(0)), "reader": "AB"}))


def clock_jumped(jump: float) -> Tell:
    def tell(folder: Path, _: Path) -> str:
        database = Database(folder / "q.sqlite")
        NodeClock(database, wall=lambda: 1e9).step()
        with logged("mammo_monai.service.node.clock") as lines:
            NodeClock(database, wall=lambda: 1e9 + jump)
        database.close()
        return lines[0]

    return tell


def without_locks(folder: Path, _: Path) -> str:
    with pytest.MonkeyPatch.context() as patch, logged("mammo_monai.locks") as lines, suppress(OSError):
        patch.setattr(locks, "_NO_LOCKS", {errno.EAGAIN})
        patch.setattr(locks.fcntl, "flock", _refused)
        with locks.file_lock(folder / "lock"):
            pass
    return lines[0]


def _refused(*_: object) -> None:
    error = OSError("no locks")
    error.errno = errno.EAGAIN
    raise error


@contextmanager
def logged(name: str) -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(name).addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger(name).removeHandler(handler)


TELLERS: tuple[Tell, ...] = (
    writing(errno.ENOSPC),
    full_at("predict json", 6),
    full_at("predict json", 2),
    writing(errno.EROFS),
    writing(errno.EIO),
    of_a_kind(Path.mkdir),
    of_a_kind(os.mkfifo),
    lost_writer,
    gone_at("prepare", 20),
    training_gone,
    review_gone,
    lambda folder, _: twice(lambda: only_run(folder / "d.json")),
    lambda folder, _: twice(lambda: locked(folder)),
    training,
    lambda folder, _: twice(lambda: RunFolder(folder).locked(patience_s=0)),
    lambda folder, _: twice(lambda: work_folder(folder, "key")),
    reviewing,
    lambda folder, _: twice(lambda: _only_one(folder)),
    without_locks,
    clock_jumped(1e7),
    clock_jumped(-1e7),
)


@pytest.mark.parametrize("number", range(len(TELLERS)))
def test_a_quoted_message_is_the_real_one(number: int, tmp_path: Path, material: Path) -> None:
    message = TELLERS[number](tmp_path, material)
    assert re.fullmatch(pattern_of(quoted()[number]), message), (quoted()[number], message)


def test_every_quoted_message_is_tried() -> None:
    assert len(quoted()) == len(TELLERS)
