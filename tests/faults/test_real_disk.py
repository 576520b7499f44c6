"""A real small disk that is full to the last page, and one that turns read-only: the kernel's own errors."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from mammo_monai.service.node.database import Database
from mammo_monai.service.node.queue import NewInstance, Queue
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.states import InstanceState
from tests.faults.mounted_disk import mounted
from tests.faults.told import assert_told
from tests.faults.verbs import VERBS, Verb, contents

PAGE = 4096
# Those whose files other languages write: pyarrow, zip, torch; and one each of documents, pictures, DICOM.
ON_A_REAL_DISK = (
    "manifest",
    "prepare",
    "predict json",
    "predict parquet",
    "dicom sr",
    "train",
    "bundle pull",
)


@pytest.mark.parametrize(
    "verb", [each for each in VERBS if each.name in ON_A_REAL_DISK], ids=lambda v: v.name
)
def test_on_a_disk_with_too_few_pages_nothing_is_lost(verb: Verb, material: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 16_000) as disk:
        assert verb.run(material, disk.path / "whole").code == 0
        expected = contents(disk.path / "whole", verb.varies)
        refused = 0
        for free_pages in (1, 3, 8):
            out = disk.path / f"{free_pages}"
            filler = disk.fill(free_pages * PAGE)
            failed = verb.run(material, out)
            left = contents(out, verb.varies)
            filler.unlink()
            assert left.items() <= expected.items()
            if failed.code:
                refused += 1
                assert_told(failed, disk.path, errno.ENOSPC)
            again = verb.run(material, out)
            assert (again.code, contents(out, verb.varies)) == (0, expected), again
        assert refused


@pytest.mark.parametrize(
    "verb", [each for each in VERBS if each.name in ON_A_REAL_DISK], ids=lambda v: v.name
)
def test_a_disk_that_is_read_only_is_told_and_left_as_it_was(
    verb: Verb, material: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", 16_000) as disk:
        (disk.path / "out").mkdir()
        disk.remount("ro")
        assert_told(verb.run(material, disk.path / "out"), disk.path, errno.EROFS)
        disk.remount("rw")
        assert list((disk.path / "out").iterdir()) == []


def test_the_nodes_queue_loses_nothing_on_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 1000) as disk:
        database = Database(disk.path / "queue.sqlite")
        queue, spool = Queue(database), Spool(disk.path)
        stored: list[str] = []
        with pytest.raises((OSError, sqlite3.Error)) as full:  # noqa: PT012  # until the disk is full
            for n in range(1000):
                part = spool.write_part("images", lambda stream: stream.write(b"x" * 10_000) and None)
                name = spool.keep(part, f"{n:032x}")
                queue.add(
                    NewInstance(str(n), "c", "s", "sha", 10_000, "A"), InstanceState.RECEIVED, file=name
                )
                stored.append(name)
        assert getattr(full.value, "errno", errno.ENOSPC) == errno.ENOSPC
        assert len(stored) > 20
        database.close()
        database = Database(disk.path / "queue.sqlite")  # as after a start anew
        assert [row["file"] for row in database.rows("SELECT file FROM instances ORDER BY id")] == stored
        assert all(spool.path(name).stat().st_size == 10_000 for name in stored)
        for name in stored[:10]:
            spool.drop(name)
        Queue(database).add(NewInstance("new", "c", "s", "sha", 1, "A"), InstanceState.RECEIVED, file="f")
        assert Queue(database).n_waiting() == len(stored) + 1
        database.close()
