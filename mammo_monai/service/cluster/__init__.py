"""Prediction on a cluster of machines through Ray Data: chunks of images to workers, a Parquet shard each."""

from mammo_monai.service.cluster.chunks import CHUNK_IMAGES, Chunk
from mammo_monai.service.cluster.errors import ClusterError
from mammo_monai.service.cluster.folder import JobFolder, JobRecord
from mammo_monai.service.cluster.job import BundleMarker, Job, MarkerSource, bundle_job
from mammo_monai.service.cluster.ray_data import ClusterOptions
from mammo_monai.service.cluster.run import Cluster, RayCluster, run_on_cluster
from mammo_monai.service.cluster.worker import ChunkMarker, Order

__all__ = [
    "CHUNK_IMAGES",
    "BundleMarker",
    "Chunk",
    "ChunkMarker",
    "Cluster",
    "ClusterError",
    "ClusterOptions",
    "Job",
    "JobFolder",
    "JobRecord",
    "MarkerSource",
    "Order",
    "RayCluster",
    "bundle_job",
    "run_on_cluster",
]
