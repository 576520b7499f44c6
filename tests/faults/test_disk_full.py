"""A disk that fills up, or turns read-only, anywhere in a command: one line says so, and nothing is lost."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from tests.faults.failing_disk import FailingDisk
from tests.faults.told import assert_told
from tests.faults.verbs import VERBS, Verb, contents


def spread(count: int, at_most: int) -> list[int]:
    """1 to `count`, or so many of them, the first and the last among them."""
    if count <= at_most:
        return list(range(1, count + 1))
    return sorted({1 + round(n * (count - 1) / (at_most - 1)) for n in range(at_most)})


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_at_whatever_operation_the_disk_fails_nothing_is_lost(verb: Verb, material: Path) -> None:
    whole = material.parent / f"{verb.name} whole"
    verb.begin(material, whole)
    with FailingDisk(whole) as disk:
        done = verb.run(material, whole)
    assert done.code == 0, done
    expected = contents(whole, verb.varies)
    assert disk.count >= 5
    for fatal in spread(disk.count, verb.operations):
        number = (errno.ENOSPC, errno.EROFS, errno.EIO)[fatal % 3]
        out = material.parent / f"{verb.name} {fatal}"
        verb.begin(material, out)
        before = contents(out, verb.varies)
        with FailingDisk(out, fatal=fatal, number=number) as failing:
            failed = verb.run(material, out)
        assert failing.has_failed
        left = contents(out, verb.varies)
        # Whole files only, each the old one or the new one.
        assert left.items() <= expected.items() | before.items(), (fatal, failed)
        assert left.keys() >= before.keys()
        if failed.code == 0:
            assert left == expected, (fatal, failed)
        else:
            assert_told(failed, out, number)
        again = verb.run(material, out)
        assert (again.code, contents(out, verb.varies)) == (0, expected), (fatal, again)


@pytest.mark.parametrize(
    "verb", [each for each in VERBS if each.name != "bundle publish"], ids=lambda verb: verb.name
)
def test_a_file_where_the_folder_should_be_is_named(verb: Verb, material: Path) -> None:
    taken = material.parent / f"{verb.name} taken"
    taken.write_text("mine")
    failed = verb.run(material, taken / "out")
    assert failed.code == 2
    assert re.search(rf"{re.escape(str(taken))}.*(Not a directory|File exists)", failed.error), failed
    assert taken.read_text() == "mine"


def test_every_operation_is_tried_where_there_are_few() -> None:
    assert spread(5, 12) == [1, 2, 3, 4, 5]
    assert spread(100, 4) == [1, 34, 67, 100]
