"""Folders that go away while a command runs, and files that can no longer be read: told, and gone on from."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.faults.failing_disk import FailingDisk
from tests.faults.test_disk_full import spread
from tests.faults.verbs import VERBS, Outcome, contents

BY_NAME = {verb.name: verb for verb in VERBS}
# Each writes more than once; a report, a pack or the like is one file.
OUTPUTS = ("manifest", "prepare", "predict json", "predict jsonl", "predict parquet", "train", "review")


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_folder_that_goes_away_is_told_and_gone_on_from(
    name: str, material: Path, tmp_path: Path
) -> None:
    verb, whole = BY_NAME[name], tmp_path / "whole"
    with FailingDisk(whole) as disk:
        assert verb.run(material, whole).code == 0
    expected = contents(whole, verb.varies)
    for fatal in spread(disk.count, 5):
        out, away = tmp_path / f"{fatal}", tmp_path / f"{fatal} away"

        def go_away(out: Path = out, away: Path = away) -> None:
            if out.exists():
                out.rename(away)

        with FailingDisk(out, fatal=fatal, instead=go_away):
            ended = verb.run(material, out)
        if ended.code == 0:  # all of it was written before, or all of it after
            assert expected in (contents(out, verb.varies), contents(away, verb.varies)), (fatal, ended)
        else:
            assert ended.code == 2
            assert str(out) in ended.error, ended
            assert "\n" not in ended.error
        if away.exists():  # the share is back
            shutil.rmtree(out, ignore_errors=True)
            away.rename(out)
        again = verb.run(material, out)
        assert (again.code, contents(out, verb.varies)) == (0, expected), (fatal, again)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("name", ["prepare", "evaluate", "dicom sr", "report", "bundle pull"])
def test_a_file_that_cannot_be_read_is_named_and_nothing_half_is_written(
    name: str, number: int, material: Path, tmp_path: Path
) -> None:
    verb, whole = BY_NAME[name], tmp_path / "whole"
    with FailingDisk(material, reads=True) as disk:
        assert verb.run(material, whole).code == 0
    expected = contents(whole, verb.varies)
    assert disk.count >= 1
    out = tmp_path / "out"
    with FailingDisk(material, fatal=disk.count, number=number, reads=True):
        failed = verb.run(material, out)
    assert failed.code in (1, 2), failed
    if failed.code == 2:
        assert str(material) in failed.error, failed
        assert "[Errno" not in failed.error, failed
        assert contents(out, verb.varies).items() <= expected.items()
    again = verb.run(material, out)
    assert (again.code, contents(out, verb.varies)) == (0, expected), again


def test_images_that_go_away_are_prepared_once_they_are_back(material: Path, tmp_path: Path) -> None:
    films, away = material / "films", material / "films away"
    verb, out = BY_NAME["prepare"], tmp_path / "out"
    assert verb.run(material, tmp_path / "whole").code == 0
    try:
        with FailingDisk(out, fatal=12, instead=lambda: films.rename(away)):
            ended = verb.run(material, out)
    finally:
        away.rename(films)
    assert ended == Outcome(1, "")
    assert len(list((out / "images").iterdir())) < 3
    assert verb.run(material, out).code == 0
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_an_output_on_another_file_system_through_a_link(material: Path, tmp_path: Path) -> None:
    there = Path("/dev/shm") / f"mammo-monai-faults-{os.getpid()}"
    there.mkdir()
    try:
        (tmp_path / "out").symlink_to(there)
        for name in ("predict json", "predict parquet", "prepare"):
            verb = BY_NAME[name]
            assert verb.run(material, tmp_path / "out" / name).code == 0
            assert contents(there / name, verb.varies)
    finally:
        shutil.rmtree(there)
