"""Ray itself: two workers on this machine, one killed, a node lost, the driver killed; one result per image.

A cluster takes ten seconds to start and its workers as long to import; the fast tests stand in
tests/service/cluster.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.cli.main import main
from mammo_monai.schema import read_detections

pytest.importorskip("ray", reason="needs Ray: pip install 'mammo-monai[ray]'")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
COUNT = 24


def until(claim: Callable[[], object], process: subprocess.Popen[bytes] | None = None) -> None:
    """Waits for a claim to come true; fails when its process ends or patience does."""
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, "the driver ended"
        time.sleep(0.1)


@contextmanager
def driver(folder: Path, *, deadly: str = "", address: str = "local") -> Iterator[subprocess.Popen[bytes]]:
    """A driver in a process of its own, its words in driver.log."""
    command = [sys.executable, "-m", "tests.cluster.cluster_driver", str(folder), str(COUNT), deadly, address]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "driver.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shards(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mtime_ns for each in (folder / "out.parquet").glob("part-*.parquet")}


def marks(folder: Path) -> list[list[str]]:
    """Process and record id of every image begun, in order."""
    log = folder / "marks.log"
    return [line.split() for line in log.read_text().splitlines()] if log.is_file() else []


def descendants(root: int) -> set[int]:
    parents = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = each.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents[int(each.parent.name)] = int(fields[1])
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening_addresses(processes: set[int]) -> set[str]:
    """Local addresses, in the kernel's hexadecimal, on which these processes wait for connections."""
    inodes = set()
    for process in processes:
        for each in Path(f"/proc/{process}/fd").glob("*"):
            try:
                inodes.add(os.readlink(each))  # noqa: PTH115  # the kernel's own text, no path
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def check_exactly_once(folder: Path, *, dead: tuple[str, ...] = ()) -> None:
    content = read_detections(folder / "out.parquet")
    failed = [each["record_id"] for each in content.model["failed"]]
    found = [each.record_id for each in content.detections]
    assert Counter([*found, *failed]) == Counter(f"r{n}" for n in range(COUNT))
    assert found == sorted(found, key=lambda each: int(each[1:]))
    assert set(failed) == {f"r{n}" for n in range(COUNT) if n % 5 == 4} | set(dead)


def test_a_killed_worker_and_a_killed_driver_leave_one_result_per_image(tmp_path: Path) -> None:
    with driver(tmp_path) as first:
        until(lambda: len(shards(tmp_path)) >= 2, first)
        loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
        assert listening_addresses(descendants(first.pid)) <= loopback
        victim = int(marks(tmp_path)[-1][0])
        os.kill(victim, signal.SIGKILL)
        n_shards = len(shards(tmp_path))
        until(lambda: len(shards(tmp_path)) >= n_shards + 3, first)
        left_behind = descendants(first.pid)
        os.kill(first.pid, signal.SIGKILL)
    until(lambda: not [pid for pid in left_behind if Path(f"/proc/{pid}/exe").exists()])
    kept = shards(tmp_path)
    assert 5 <= len(kept) < COUNT / 2
    assert not (tmp_path / "out.parquet" / "model.json").exists()
    n_before = len(marks(tmp_path))
    with driver(tmp_path) as second:
        assert second.wait(PATIENCE_S) == 0
    check_exactly_once(tmp_path)
    assert {name: time_ns for name, time_ns in shards(tmp_path).items() if name in kept} == kept
    again = Counter(record_id for _, record_id in marks(tmp_path)[n_before:])
    assert again.total() == COUNT - 2 * len(kept)


def test_an_image_that_kills_every_worker_is_left_out(tmp_path: Path) -> None:
    with driver(tmp_path, deadly="r7") as process:
        assert process.wait(PATIENCE_S) == 0
    check_exactly_once(tmp_path, dead=("r7",))
    deaths = [record_id for _, record_id in marks(tmp_path)].count("r7")
    assert deaths == 3


def test_a_lost_node_does_not_hold_up_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        with driver(tmp_path, address=cluster.address) as process:
            until(lambda: len({pid for pid, _ in marks(tmp_path)}) == 2, process)
            cluster.remove_node(node, allow_graceful=False)
            assert process.wait(PATIENCE_S) == 0
    finally:
        cluster.shutdown()
    check_exactly_once(tmp_path)


def test_marks_are_bit_for_bit_those_of_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    films = tmp_path / "films"
    films.mkdir()
    for number in range(4):
        height, width = 300 + 10 * number, 240
        row, column = np.mgrid[:height, :width]
        film = random.integers(0, 8, (height, width))
        film[(column - (0 if number % 2 else width - 1)) ** 2 + (row - 150) ** 2 < 140**2] += 90
        film[(column - (60 if number % 2 else 180)) ** 2 + (row - 140) ** 2 < 20**2] += 130
        Image.fromarray(film.astype(np.uint8)).save(films / f"{number}.png")
    (films / "broken.png").write_bytes(b"no picture")
    common = ["predict", str(films), "--bundle", "cbis_mass_detection", "--device", "cpu"]
    assert main([*common, "--on-error", "skip", "-o", str(tmp_path / "one.json")]) == 1
    alone = capsys.readouterr().out
    output = tmp_path / "many.parquet"
    command = [sys.executable, "-m", "mammo_monai.cli.main", *common, "--cluster", "local", "--chunk", "2"]
    told = subprocess.run(
        [*command, "-o", str(output)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert told.returncode == 1, told.stderr
    assert told.stdout.split(": ")[1] == alone.split(": ")[1]
    one, many = read_detections(tmp_path / "one.json"), read_detections(output)
    assert many.model == one.model
    assert len(many.detections) == 4
    for ours, theirs in zip(many.detections, one.detections, strict=True):
        assert ours.record_id == theirs.record_id
        assert len(ours.boxes) > 0
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
