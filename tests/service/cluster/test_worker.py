"""A worker in this process: what is an image's fault, what is not, and who killed the worker before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mammo_monai.errors import WeightsError
from mammo_monai.schema.detection_shards import iter_shard
from mammo_monai.service.cluster import Chunk, ChunkMarker, JobFolder, JobRecord, Order
from mammo_monai.service.cluster.attempts import Attempts
from mammo_monai.service.cluster.job import Mark
from tests.service.cluster.stand_ins import StubSource, samples

PARTS = {"model": "m1"}


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """A job of four images whose folder is begun."""
    JobFolder(tmp_path / "o.parquet").begin(JobRecord(PARTS, 4, 4))
    return Order(StubSource(tmp_path / "marks.log"), tmp_path / "o.parquet", PARTS)


def rows(order: Order, index: int = 0) -> list[str]:
    return [each.record_id for each in iter_shard(order.folder / f"part-{index:06d}.parquet")]


def chunk(count: int = 4) -> dict[str, object]:
    return Chunk(0, tuple(samples(count))).as_row()


def test_a_chunk_becomes_a_shard_and_leaves_no_notes(order: Order) -> None:
    assert ChunkMarker(order)(chunk()) == {"index": 0, "images": 4, "failed": 0, "error": ""}
    assert rows(order) == ["r0", "r1", "r2", "r3"]
    assert not JobFolder(order.folder).attempts(0).exists()


def test_samples_come_through_a_row_as_they_are() -> None:
    found = Chunk.of_row(Chunk(3, tuple(samples(2))).as_row())
    assert (found.index, [each["record_id"] for each in found.samples]) == (3, ["r0", "r1"])
    assert found.samples[0]["box"].shape == (0, 4)


def test_a_failed_image_is_noted_and_the_others_go_on(order: Order) -> None:
    assert ChunkMarker(order)(chunk(6))["failed"] == 1
    assert rows(order) == ["r0", "r1", "r2", "r3", "r5"]
    (failed,) = JobFolder(order.folder).failed([0])
    assert failed == {"record_id": "r4", "image": "/films/4.dcm", "error": "/films/4.dcm: cut short"}


def test_a_chunk_done_again_without_a_failure_forgets_the_old_one(order: Order) -> None:
    ChunkMarker(order)(chunk(6))
    ChunkMarker(order)(chunk(4))
    assert JobFolder(order.folder).failed([0]) == []


def test_an_image_at_which_three_workers_died_is_left_out(order: Order) -> None:
    notes = JobFolder(order.folder).attempts(0)
    notes.write_text("begin\n0\n1\n" * 3)
    assert ChunkMarker(order)(chunk())["failed"] == 1
    assert rows(order) == ["r0", "r2", "r3"]
    (failed,) = JobFolder(order.folder).failed([0])
    assert "/films/1.dcm (record r1): 3 worker processes died while they marked it" in failed["error"]


def test_two_deaths_are_no_proof(order: Order) -> None:
    JobFolder(order.folder).attempts(0).write_text("begin\n0\n1\n" * 2)
    assert ChunkMarker(order)(chunk())["failed"] == 0


def test_only_attempts_without_an_end_are_deaths(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("begin\n-1\n0\n2\nbegin\n-1\nbegin\n-1\n0\n1\nend\nbegin\n-1\n0\n2")
    assert dict(Attempts(notes).deaths) == {2: 2, -1: 1}


def test_workers_that_die_while_they_load_end_the_job(order: Order) -> None:
    JobFolder(order.folder).attempts(0).write_text("begin\n-1\n" * 3)
    error = ChunkMarker(order)(chunk())["error"]
    assert "3 worker processes died while they loaded the model" in error
    JobFolder(order.folder).forget_attempts()
    assert ChunkMarker(order)(chunk())["error"] == ""


@dataclass(frozen=True)
class WithoutWeights:
    def load(self, device: str | None) -> Mark:
        raise WeightsError("model.safetensors: no such file.")


def test_a_model_that_cannot_be_loaded_is_no_images_fault(order: Order) -> None:
    told = ChunkMarker(replace(order, source=WithoutWeights()))(chunk())
    assert told["error"] == "model.safetensors: no such file."
    assert not list(order.folder.glob("part-*"))
    assert not Attempts(JobFolder(order.folder).attempts(0)).deaths


def test_another_version_on_a_node_is_refused(order: Order) -> None:
    told = ChunkMarker(replace(order, software="0.0.1"))(chunk())
    assert "the driver 0.0.1: install the same version on every node" in told["error"]


def test_a_node_that_does_not_see_the_folder_says_so(order: Order, tmp_path: Path) -> None:
    told = ChunkMarker(replace(order, folder=tmp_path / "elsewhere.parquet"))(chunk())
    assert "a worker does not see the job there" in told["error"]
