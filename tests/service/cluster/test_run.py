"""A job's rounds against a cluster in this process: exactly one result per image, whatever ends a round."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.inference import Progress
from mammo_monai.schema import read_detections
from mammo_monai.service.cluster import ClusterError, run_on_cluster
from mammo_monai.service.cluster.folder import JobFolder
from mammo_monai.service.cluster.ray_data import WorkersLostError
from tests.service.cluster.stand_ins import ClusterHere, stub_job

BROKEN = ["r4", "r9"]


def ids(output: Path) -> list[str]:
    return [each.record_id for each in read_detections(output).detections]


def expected(count: int = 12) -> list[str]:
    return [f"r{n}" for n in range(count) if n % 5 != 4]


def test_every_image_has_one_row_in_order_or_is_named_as_failed(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    run_on_cluster(stub_job(tmp_path), output, ClusterHere(), chunk_images=5)
    content = read_detections(output)
    assert ids(output) == expected()
    assert [each["record_id"] for each in content.model["failed"]] == BROKEN
    assert content.model["failed"][0]["error"] == "/films/4.dcm: cut short"
    assert content.model["bundle"] == "stub"
    second = content.detections[1]
    np.testing.assert_array_equal(second.boxes, [[1, 2.5, 31, 81.25]] * 2)
    assert len(content.detections[0].boxes) == 0


def test_a_driver_that_was_killed_goes_on_with_the_missing_shards(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"

    def stop(index: int) -> None:
        if index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_cluster(stub_job(tmp_path), output, ClusterHere(stop), chunk_images=3)
    kept = {path: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}
    assert len(kept) == 2
    again = ClusterHere()
    run_on_cluster(stub_job(tmp_path), output, again, chunk_images=7)  # the chunks of the first command hold
    assert again.done == [2, 3]
    assert ids(output) == expected()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    marked = [line.split()[1] for line in (tmp_path / "marks.log").read_text().splitlines()]
    assert sorted(marked) == sorted(f"r{n}" for n in range(12))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 14),
    chunk=st.integers(1, 6),
    losses=st.lists(st.integers(0, 14), max_size=5, unique=True),
)
def test_any_losses_leave_exactly_one_result_per_image(
    tmp_path_factory: pytest.TempPathFactory, count: int, chunk: int, losses: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("job")
    left = set(losses)

    def lose(index: int) -> None:
        if index in left:
            left.discard(index)
            raise WorkersLostError("1 of 2 nodes of the cluster are gone.")

    run_on_cluster(stub_job(folder, count), folder / "o.parquet", ClusterHere(lose), chunk_images=chunk)
    content = read_detections(folder / "o.parquet")
    failed = [each["record_id"] for each in content.model["failed"]]
    assert sorted([*ids(folder / "o.parquet"), *failed]) == sorted(f"r{n}" for n in range(count))


def test_losses_without_any_gain_end_the_run(tmp_path: Path) -> None:
    def lose(index: int) -> None:
        raise WorkersLostError("2 of 2 nodes of the cluster are gone.")

    cluster = ClusterHere(lose)
    with pytest.raises(
        ClusterError, match=r"2 of 2 nodes .* No chunk was finished in 3 rounds.*start the command"
    ):
        run_on_cluster(stub_job(tmp_path), tmp_path / "o.parquet", cluster, chunk_images=3)
    assert cluster.rounds == 3


def test_another_job_is_refused_and_named_by_what_differs(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    run_on_cluster(stub_job(tmp_path), output, ClusterHere())
    with pytest.raises(ClusterError, match="differs in images; results of two jobs are never mixed"):
        run_on_cluster(stub_job(tmp_path, 11), output, ClusterHere())


def test_a_finished_job_is_not_done_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output, again = tmp_path / "out.parquet", ClusterHere()
    run_on_cluster(stub_job(tmp_path), output, ClusterHere())
    with caplog.at_level("INFO"):
        run_on_cluster(stub_job(tmp_path), output, again)
    assert again.rounds == 0
    assert "finished before" in caplog.text


def test_a_shard_of_another_length_is_named_and_the_job_is_not_finished(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"

    def exchange(index: int) -> None:
        if index == 3:
            (output / "part-000001.parquet").write_bytes((output / "part-000000.parquet").read_bytes())

    with pytest.raises(ClusterError, match=r"part-000001\.parquet not of the number of images"):
        run_on_cluster(stub_job(tmp_path), output, ClusterHere(exchange), chunk_images=3)
    (output / "part-000001.parquet").unlink()
    run_on_cluster(stub_job(tmp_path), output, ClusterHere())
    assert ids(output) == expected()


def test_a_fault_that_is_no_images_ends_the_run_in_its_own_words(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"

    def lose_sight(index: int) -> None:
        content = json.loads((output / ".cluster/job.json").read_text())
        (output / ".cluster/job.json").write_text(json.dumps({**content, "parts": {"model": "m2"}}))

    with pytest.raises(
        ClusterError, match=r"does not see the job there.*every node sees under the same paths"
    ):
        run_on_cluster(stub_job(tmp_path), output, ClusterHere(lose_sight))


def test_progress_counts_images_with_the_time_left(tmp_path: Path) -> None:
    told: list[Progress] = []
    job = stub_job(tmp_path, 7)
    run_on_cluster(job, tmp_path / "o.parquet", ClusterHere(), chunk_images=3, on_progress=told.append)
    assert [(each.done, each.total, each.record_id) for each in told] == [
        (3, 7, "r2"),
        (6, 7, "r5"),
        (7, 7, "r6"),
    ]
    assert told[0].eta_s is not None
    assert told[-1].eta_s == 0.0


def test_without_a_listener_progress_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        run_on_cluster(stub_job(tmp_path, 7), tmp_path / "o.parquet", ClusterHere())
    assert "7 of 7 images, 0 s left" in caplog.text
    assert "/films" not in "".join(each.message for each in caplog.records if each.levelname == "INFO")


@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out"])
def test_the_output_is_a_folder_of_shards(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClusterError, match=r"a cluster's output is a folder NAME\.parquet"):
        run_on_cluster(stub_job(tmp_path), tmp_path / name, ClusterHere())


def test_a_chunk_holds_at_least_one_image(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        run_on_cluster(stub_job(tmp_path), tmp_path / "o.parquet", ClusterHere(), chunk_images=0)


def test_two_commands_that_begin_at_once_do_not_write_each_others_job(tmp_path: Path) -> None:
    output = tmp_path / "o.parquet"
    with JobFolder(output).locked(), pytest.raises(ClusterError, match="another command works there"):
        run_on_cluster(stub_job(tmp_path), output, ClusterHere())
    assert not JobFolder(output).job_file.exists()
    run_on_cluster(stub_job(tmp_path), output, ClusterHere())
    assert ids(output) == expected()
