"""Run as a process by test_cluster: a driver that marks stand-in films; we kill it, or its workers."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from mammo_monai.service.cluster import ClusterOptions, RayCluster, run_on_cluster

if __name__ == "__main__":
    from tests.service.cluster.stand_ins import stub_job

    logging.basicConfig(level=logging.INFO)
    folder, count, deadly = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    options = ClusterOptions(sys.argv[4], workers=2)
    job = stub_job(folder, count, pause_s=0.5, deadly=deadly)
    run_on_cluster(job, folder / "out.parquet", RayCluster(options), chunk_images=2)
