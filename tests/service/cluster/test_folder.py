"""The folder of a job: whose it is, and what is refused."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from mammo_monai.service.cluster import ClusterError, JobFolder, JobRecord

RECORD = JobRecord({"model": "m1", "images": "i1"}, 10, 4)


def test_a_new_folder_is_taken_and_one_of_the_same_job_keeps_its_chunks(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "a" / "o.parquet")
    assert folder.begin(RECORD) == RECORD
    assert folder.begin(JobRecord(RECORD.parts, 10, 99)) == RECORD
    assert folder.missing(RECORD) == [0, 1, 2]


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ClusterError, match=r"holds notes\.txt, which no job on a cluster made"):
        JobFolder(tmp_path).begin(RECORD)
    with pytest.raises(ClusterError, match=r"holds notes\.txt"), JobFolder(tmp_path).locked():
        raise RuntimeError("unreachable")
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_every_part_that_differs_is_named(tmp_path: Path) -> None:
    JobFolder(tmp_path / "o").begin(RECORD)
    with pytest.raises(ClusterError, match="differs in images, model, point;"):
        JobFolder(tmp_path / "o").begin(JobRecord({"model": "m2", "images": "i2", "point": "p"}, 10, 4))


@pytest.mark.parametrize("text", ["{", '{"schema": "mammo-monai/cluster-job/1", "parts": 3}', "[]"])
def test_a_damaged_record_is_told(tmp_path: Path, text: str) -> None:
    folder = JobFolder(tmp_path / "o")
    folder.begin(RECORD)
    folder.job_file.write_text(text)
    with pytest.raises(ClusterError, match=r"job\.json.*Remove .* and start again"):
        folder.begin(RECORD)


def test_a_second_driver_is_kept_out(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "o")
    folder.begin(RECORD)
    with folder.locked(), pytest.raises(ClusterError, match="another command works there"), folder.locked():
        raise RuntimeError("unreachable")
    with folder.locked():
        pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with JobFolder(tmp_path / "o").locked():
        pass


def test_a_job_with_missing_shards_is_not_finished(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "o")
    folder.begin(RECORD)
    with pytest.raises(ClusterError, match="3 shards are missing; start the command again"):
        folder.finish(RECORD, {})
    assert not folder.is_finished
