"""Curves of a run for TensorBoard, written once however many processes train."""

from __future__ import annotations

import logging
from typing import Any

from monai.handlers import TensorBoardStatsHandler

from mammo_monai.engines.distributed import is_first_process

logger = logging.getLogger(__name__)


class TensorBoardHandler:
    """Losses per iteration and figures per epoch, by MONAI's handler; of several processes the first writes.

    The file is whole, and its writer's thread ended, when the run ends, however that comes.

    Args:
        log_dir: folder for TensorBoard's event file.
    """

    def __init__(self, log_dir: str) -> None:
        self.log_dir = log_dir

    def attach(self, trainer: Any) -> None:
        """Hooks into a `ModelTrainer`."""
        if is_first_process():
            curves = TensorBoardStatsHandler(log_dir=self.log_dir, output_transform=dict)
            curves.attach(trainer)
            trainer.while_running.callback(self._end, curves)

    def _end(self, curves: TensorBoardStatsHandler) -> None:
        try:
            curves.close()
        except OSError as error:  # the weights are what the run was for
            logger.warning("%s: the last points of the curves could not be written: %s", self.log_dir, error)
