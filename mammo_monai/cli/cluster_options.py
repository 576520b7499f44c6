"""Options of verbs that can run on a cluster, and what they mean together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mammo_monai.service.cluster import ClusterOptions


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--cluster` and what refines it."""
    group = parser.add_argument_group("on a cluster (docs/how-to/cluster.md)")
    where = "local, auto or HOST:PORT: mark through Ray into a folder -o NAME.parquet"
    group.add_argument("--cluster", metavar="WHERE", help=where)
    group.add_argument(
        "--cluster-workers", type=int, metavar="N", help="processes with the model (what fits)"
    )
    group.add_argument("--worker-cpus", type=int, metavar="N", help="cores of each (1)")
    group.add_argument("--worker-gpus", type=float, metavar="N", help="GPUs of each, 0.5 for half (1 if any)")
    group.add_argument("--chunk", type=int, metavar="N", help="images of a task and of a shard (64)")


def is_for_cluster(args: argparse.Namespace) -> bool:
    """Whether a cluster was asked for.

    Raises:
        ValueError: an option of a cluster without one.
    """
    refining = ("cluster_workers", "worker_cpus", "worker_gpus", "chunk")
    given = [f"--{name.replace('_', '-')}" for name in refining if getattr(args, name) is not None]
    if given and args.cluster is None:
        raise ValueError(f"{', '.join(given)}: say on which cluster: --cluster local, auto or HOST:PORT.")
    return args.cluster is not None


def cluster_options(args: argparse.Namespace) -> ClusterOptions:
    """The cluster that was asked for.

    Raises:
        ValueError: a number that cannot be.
    """
    from mammo_monai.service.cluster import ClusterOptions

    cpus = 1 if args.worker_cpus is None else args.worker_cpus
    return ClusterOptions(args.cluster, args.cluster_workers, cpus, args.worker_gpus)


def predict_on_cluster(args: argparse.Namespace, images: list[str]) -> None:
    """Runs a bundle's inference on images by the workers of a cluster; writes the folder of shards.

    Raises:
        ValueError: options that hold on one machine only. MammoError, OSError: as the run raises them.
    """
    from mammo_monai.bundle import parse_overrides
    from mammo_monai.cli.progress_bar import image_bar
    from mammo_monai.service import cluster as ours

    _refuse_elsewhere(args)
    named = {"mode": args.mode, "device": args.device, "engine": getattr(args, "engine", None)}
    named["evaluator#accept"] = getattr(args, "accept", None)
    overrides = {name: value for name, value in named.items() if value is not None}
    weights = args.weights.absolute() if args.weights else None
    given = {**overrides, **parse_overrides(args.overrides)}
    (bundle,) = args.bundle
    bundle = str(Path(bundle).absolute()) if Path(bundle).is_dir() else bundle
    source = ours.BundleMarker(bundle, args.fppi, weights, given, args.trust)
    job = ours.bundle_job(source, images[0] if len(images) == 1 else images, args.split)
    ray = ours.RayCluster(cluster_options(args))
    chunk = ours.CHUNK_IMAGES if args.chunk is None else args.chunk
    ours.run_on_cluster(job, args.output, ray, chunk_images=chunk, on_progress=image_bar())


def _refuse_elsewhere(args: argparse.Namespace) -> None:
    """Options whose work is done by one process, or for one bundle."""
    if len(args.bundle) > 1:
        raise ValueError(
            "--cluster marks with one bundle: run it for each, then `mammo-monai fuse` the results."
        )
    if args.maps:
        raise ValueError("--maps is drawn on one machine: leave out --cluster.")
    if args.on_error == "stop":
        raise ValueError(
            "--on-error stop: on a cluster an image that fails is listed, and the others go on. Leave it out."
        )
