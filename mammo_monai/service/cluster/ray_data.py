"""The only file that knows Ray: connects to a cluster and runs chunks through Ray Data."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mammo_monai.service.cluster.chunks import Chunk
from mammo_monai.service.cluster.errors import ClusterError
from mammo_monai.service.cluster.worker import ChunkMarker, Order

logger = logging.getLogger(__name__)

LOCAL = "local"
OBJECT_STORE_BYTES = 256 * 2**20  # of a local cluster: chunks are names of files, images never travel
WATCH_S = 5.0
# Read when Ray is imported. Usage statistics would be sent to Ray's makers; and a local cluster listens on
# the loopback device alone only where clusters of several machines are off, whatever the system is.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
# After a loss, threads of the round before would start a cluster of their own.
_NO_OTHER = {"RAY_ENABLE_AUTO_CONNECT": "0"}
_DEFAULTS = {
    "RAY_BACKEND_LOG_LEVEL": "fatal"
}  # its remarks on every pool of workers stand on stderr otherwise
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@dataclass(frozen=True)
class ClusterOptions:
    """Where a job runs, and on how much of it.

    Attributes:
        address: "local" starts workers on this machine alone; "auto" finds the cluster that this machine
            belongs to; else HOST:PORT of its head.
        workers: processes that each hold the model; None: as many as fit.
        cpus_per_worker: processors, also threads of its network.
        gpus_per_worker: 0.25 lets four share one; None: one where the cluster has any, else none.
    """

    address: str = LOCAL
    workers: int | None = None
    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}.")
        if self.cpus_per_worker < 1:
            raise ValueError(f"CPUs per worker must be at least 1, got {self.cpus_per_worker}.")
        if self.gpus_per_worker is not None and self.gpus_per_worker < 0:
            raise ValueError(f"GPUs per worker must be at least 0, got {self.gpus_per_worker}.")


class WorkersLostError(ClusterError):
    """Workers or nodes are gone, more than Ray replaces by itself; what is written stays."""


@contextmanager
def connected(options: ClusterOptions) -> Iterator[ClusterOptions]:
    """A connection to the cluster; yields the options with the numbers that the cluster allows.

    Raises:
        ClusterError: Ray is not installed, no cluster answers, or it has no place for a single worker.
    """
    ray = _imported(options.address)
    _connect(ray, options)
    try:
        yield _fitted(options, ray.cluster_resources())
    finally:
        ray.shutdown()


def chunk_results(chunks: Sequence[Chunk], order: Order, options: ClusterOptions) -> Iterator[dict[str, Any]]:
    """Runs chunks on the connected cluster; yields each worker's row as its shard is written, in any order.

    Args:
        options: as `connected` yields them.

    Raises:
        WorkersLostError: Ray gave up on a chunk, or a node is gone: chunks that it held would wait for ever
            for a place on a full cluster.
    """
    import ray  # noqa: PLC0415  # an extra

    rows: queue.Queue[dict[str, Any] | BaseException | None] = queue.Queue()
    # A daemon: on a broken cluster the iteration may never end, and must not keep the process.
    threading.Thread(target=_pump, args=(_dataset(chunks, order, options), rows), daemon=True).start()
    nodes = _nodes(ray)
    while True:
        try:
            row = rows.get(timeout=WATCH_S)
        except queue.Empty:
            if gone := nodes - _nodes(ray):
                raise WorkersLostError(
                    f"{len(gone)} of {len(nodes)} nodes of the cluster are gone."
                ) from None
            continue
        if row is None:
            return
        if isinstance(row, BaseException):
            if not isinstance(row, ray.exceptions.RayError):
                raise row
            raise WorkersLostError(f"Ray gave up: {str(row).strip().splitlines()[-1][:300]}") from row
        yield row


def _dataset(chunks: Sequence[Chunk], order: Order, options: ClusterOptions) -> Any:
    """A Ray data set with one block per chunk, mapped by a pool of actors that hold the model."""
    import ray.data  # noqa: PLC0415  # an extra

    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = 0
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    gpus = options.gpus_per_worker or 0.0
    device = None if gpus else "cpu"
    return ray.data.from_items([each.as_row() for each in chunks], override_num_blocks=len(chunks)).map(
        ChunkMarker,
        fn_constructor_args=(replace(order, device=device),),
        compute=ray.data.ActorPoolStrategy(
            size=min(options.workers or 1, len(chunks)), max_tasks_in_flight_per_actor=1
        ),
        num_cpus=options.cpus_per_worker,
        num_gpus=gpus,
        # Ray Data restarts a worker that died, and repeats its chunk, without end; `attempts` ends it.
    )


def _pump(dataset: Any, rows: queue.Queue[dict[str, Any] | BaseException | None]) -> None:
    try:
        for row in dataset.iter_rows():
            rows.put(dict(row))
        rows.put(None)
    except BaseException as error:  # whatever ends it is told in the thread that waits
        rows.put(error)


def _imported(address: str) -> Any:
    """Ray, told to send nothing, before its first import in this process.

    Raises:
        ClusterError: it is not installed.
    """
    os.environ.update({**_DEFAULTS, **os.environ, **_QUIET, **_NO_OTHER})
    if address == LOCAL:
        os.environ.update(_LOOPBACK)
    try:
        import ray  # noqa: PLC0415  # an extra
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            "--cluster needs Ray, which is not installed: pip install 'mammo-monai[ray]', on every node."
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _connect(ray: Any, options: ClusterOptions) -> None:
    common = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": False}
    if options.address == LOCAL:
        cpus = (options.workers or 0) * options.cpus_per_worker or len(os.sched_getaffinity(0))
        ray.init(
            address=LOCAL,
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **common,
        )
        if not (address := ray.util.get_node_ip_address()).startswith("127."):
            ray.shutdown()
            raise ClusterError(
                f"Ray would listen on {address}, not on the loopback device alone: it was imported before in "
                "this process. Start the job in a process of its own."
            )
        return
    try:
        ray.init(address=options.address, **common)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no cluster at {options.address}: {str(error).strip().splitlines()[0]} Start one with `ray "
            "start --head`, then `ray start --address HOST:PORT` on the other nodes; or use --cluster local."
        ) from error


def _fitted(options: ClusterOptions, there: dict[str, float]) -> ClusterOptions:
    """The options with a number of workers and GPUs that the cluster has.

    Raises:
        ClusterError: not even one worker fits.
    """
    gpus_there = there.get("GPU", 0.0)
    gpus = options.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if gpus_there >= 1 else 0.0
    fit = int(there.get("CPU", 0.0) // options.cpus_per_worker)
    if gpus:
        fit = min(fit, int(gpus_there / gpus))
    if fit < 1:
        raise ClusterError(
            f"the cluster has {there.get('CPU', 0.0):g} CPUs and {gpus_there:g} GPUs; a worker needs "
            f"{options.cpus_per_worker} and {gpus:g}. Ask for less per worker, or add nodes."
        )
    workers = min(options.workers or fit, fit)
    if options.workers is not None and workers < options.workers:
        logger.warning("%d workers asked for, %d fit on the cluster", options.workers, workers)
    return replace(options, workers=workers, gpus_per_worker=gpus)


def _nodes(ray: Any) -> set[str]:
    return {each["NodeID"] for each in ray.nodes() if each["Alive"]}
