"""What each of two processes does in a test: scores its share of one set, and once one has none."""

from __future__ import annotations

import json
from pathlib import Path

import torch.distributed as dist

from mammo_monai.engines import FrocMetric
from mammo_monai.engines.ignite_metrics import AveragePrecisionMetric, ImageAucMetric
from mammo_monai.engines.monai_metrics import (
    CumulativeAveragePrecision,
    CumulativeFroc,
    CumulativeImageAuc,
    predictions_and_truths,
)
from tests.engines.scored_images import scored_images


def score_share(rank: int, store: str, output: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    whole = scored_images(11)
    # An odd number over two processes: the first image is dealt twice, as a distributed sampler would.
    share = whole[rank::2] if rank == 0 else [*whole[1::2], whole[0]]
    figures = {}
    for metric in (FrocMetric(), AveragePrecisionMetric(), ImageAucMetric()):
        metric.reset()
        metric.update(share)
        figures[type(metric).__name__] = metric.compute()
    for metric in (CumulativeFroc(), CumulativeAveragePrecision(), CumulativeImageAuc()):
        metric(*predictions_and_truths(share))
        figures[type(metric).__name__] = metric.aggregate()
    alone = CumulativeImageAuc()
    if rank == 0:
        alone(*predictions_and_truths(whole))
    figures["one process without images"] = alone.aggregate()
    Path(f"{output}.{rank}").write_text(json.dumps(figures))
    dist.destroy_process_group()
