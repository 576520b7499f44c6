"""Run as a process by test_predict: predicts, and hangs while it loads one image, so that we kill it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mammo_monai.inference import FullImageInferer, Predictor
from tests.inference.fakes import RectangleDetector, image_with, sample_of


class SlowSamples:
    """Eight images; loading number `stuck` never ends. Like a MONAI dataset, `data` names them unloaded."""

    def __init__(self, stuck: int | None = None) -> None:
        self.stuck = stuck
        self.loaded: list[int] = []
        self.data = [{"record_id": f"r{n}", "image_path": f"images/{n}.dcm"} for n in range(8)]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        if index == self.stuck:
            time.sleep(600)
        self.loaded.append(index)
        image = image_with(70, 90, [(5 + index, 7, 30, 41, 0.5 + index / 100)])
        return sample_of(image, f"r{index}", image_path=f"images/{index}.dcm", is_right=index % 2 == 1)


def predictor(output: Path, samples: SlowSamples, *, threshold: float = 0.3) -> Predictor:
    torch.manual_seed(0)
    return Predictor(FullImageInferer(RectangleDetector(threshold)), samples, output, model={"name": "fake"})


if __name__ == "__main__":
    from tests.inference import killed_run  # classes count by module name, which is __main__ here

    run = killed_run.predictor(Path(sys.argv[1]), killed_run.SlowSamples(stuck=int(sys.argv[2])))
    run.shard_rows = 3
    run.run()
