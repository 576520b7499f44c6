"""Curves of a run for TensorBoard, written once however many processes train."""

from __future__ import annotations

from typing import Any

from monai.handlers import TensorBoardStatsHandler

from mammo_monai.engines.distributed import is_first_process


class TensorBoardHandler:
    """Losses per iteration and figures per epoch, by MONAI's handler; of several processes the first writes.

    Args:
        log_dir: folder for TensorBoard's event file.
    """

    def __init__(self, log_dir: str) -> None:
        self.log_dir = log_dir

    def attach(self, engine: Any) -> None:
        """Hooks into a trainer or evaluator."""
        if is_first_process():
            TensorBoardStatsHandler(log_dir=self.log_dir, output_transform=dict).attach(engine)
