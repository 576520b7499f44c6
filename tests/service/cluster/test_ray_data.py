"""What is asked of a cluster, and the words when it cannot be had; Ray itself runs in tests/clinic."""

from __future__ import annotations

import builtins
import os
import queue
import sys
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.service.cluster import ClusterError, ClusterOptions, RayCluster, run_on_cluster
from mammo_monai.service.cluster.ray_data import _connect, _fitted, _imported, _pump
from tests.service.cluster.stand_ins import stub_job


def test_without_ray_the_extra_is_named_and_the_folder_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing = builtins.__import__

    def without_ray(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "ray":
            raise ImportError(f"No module named {name!r}")
        return importing(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(ClusterError, match=r"pip install 'mammo-monai\[ray\]', on every node"):
        run_on_cluster(stub_job(tmp_path), tmp_path / "o.parquet", RayCluster(ClusterOptions()))


def test_ray_is_told_to_send_nothing_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_BACKEND_LOG_LEVEL"):
        monkeypatch.setenv(name, "1")
    stub = type(sys)("ray")
    stub.data = type(sys)("ray.data")  # type: ignore[attr-defined]  # a module of a stand-in
    monkeypatch.setitem(sys.modules, "ray", stub)
    monkeypatch.setitem(sys.modules, "ray.data", stub.data)
    _imported("auto")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "1"
    _imported("local")
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert os.environ["RAY_BACKEND_LOG_LEVEL"] == "1"  # the user's own


@pytest.mark.parametrize(
    ("asked", "there", "workers", "gpus"),
    [
        (ClusterOptions(), {"CPU": 6.0}, 6, 0.0),
        (ClusterOptions(cpus_per_worker=4), {"CPU": 6.0}, 1, 0.0),
        (ClusterOptions(), {"CPU": 16.0, "GPU": 2.0}, 2, 1.0),
        (ClusterOptions(gpus_per_worker=0.25), {"CPU": 16.0, "GPU": 2.0}, 8, 0.25),
        (ClusterOptions(gpus_per_worker=0), {"CPU": 16.0, "GPU": 2.0}, 16, 0.0),
        (ClusterOptions(workers=3), {"CPU": 16.0}, 3, 0.0),
    ],
)
def test_workers_are_as_many_as_fit(
    asked: ClusterOptions, there: dict[str, float], workers: int, gpus: float
) -> None:
    fitted = _fitted(asked, there)
    assert (fitted.workers, fitted.gpus_per_worker) == (workers, gpus)


def test_more_workers_than_fit_are_told(caplog: pytest.LogCaptureFixture) -> None:
    assert _fitted(ClusterOptions(workers=9), {"CPU": 2.0}).workers == 2
    assert "9 workers asked for, 2 fit" in caplog.text


def test_a_cluster_without_place_for_one_worker_is_refused() -> None:
    with pytest.raises(ClusterError, match="has 2 CPUs and 0 GPUs; a worker needs 4 and 0"):
        _fitted(ClusterOptions(cpus_per_worker=4), {"CPU": 2.0})
    with pytest.raises(ClusterError, match="has 2 CPUs and 0 GPUs; a worker needs 1 and 1"):
        _fitted(ClusterOptions(gpus_per_worker=1), {"CPU": 2.0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"cpus_per_worker": 0}, "CPUs per worker must be at least 1"),
        ({"gpus_per_worker": -0.5}, "GPUs per worker must be at least 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClusterOptions(**options)


class RayStub:
    """Answers `init` as it is told."""

    def __init__(self, *, error: Exception | None = None, address: str = "127.0.0.1") -> None:
        self.error, self.util = error, self
        self.address, self.given, self.is_down = address, dict[str, Any](), False

    def init(self, **given: Any) -> None:
        self.given = given
        if self.error is not None:
            raise self.error

    def get_node_ip_address(self) -> str:
        return self.address

    def shutdown(self) -> None:
        self.is_down = True


def test_a_cluster_that_does_not_answer_is_named_with_the_way_to_start_one() -> None:
    ray = RayStub(error=ConnectionError("Could not find any running Ray instance.\nmore"))
    with pytest.raises(ClusterError, match=r"no cluster at auto: Could not find .* `ray start --head`"):
        _connect(ray, ClusterOptions("auto"))


def test_a_local_cluster_has_no_dashboard_and_as_many_processors_as_workers_need() -> None:
    ray = RayStub()
    _connect(ray, ClusterOptions(workers=3, cpus_per_worker=2))
    assert (ray.given["address"], ray.given["num_cpus"], ray.given["include_dashboard"]) == (
        "local",
        6,
        False,
    )


def test_a_local_cluster_that_others_could_reach_is_ended() -> None:
    ray = RayStub(address="192.0.2.7")
    with pytest.raises(ClusterError, match=r"would listen on 192\.0\.2\.7, not on the loopback device alone"):
        _connect(ray, ClusterOptions())
    assert ray.is_down


def test_what_ends_the_iteration_reaches_the_waiting_thread() -> None:
    class Broken:
        def iter_rows(self) -> Any:
            yield {"index": 0}
            raise RuntimeError("lost")

    rows: queue.Queue[Any] = queue.Queue()
    _pump(Broken(), rows)
    assert rows.get_nowait() == {"index": 0}
    assert str(rows.get_nowait()) == "lost"
