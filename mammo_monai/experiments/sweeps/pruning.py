"""Gives up trials that fall behind: reads the validation figure of each epoch while a training runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mammo_monai.experiments.folder import RunFolder
from mammo_monai.experiments.history import read_history
from mammo_monai.experiments.step_request import TRAINING
from mammo_monai.experiments.sweeps.study import Study

logger = logging.getLogger(__name__)
POLL_S = 2.0


class Watch:
    """Watches one trial; stops its runner when the study gives it up.

    Attributes:
        is_pruned: whether it was given up.
    """

    def __init__(
        self, study: Study, number: int, folders: Sequence[RunFolder], stopping: threading.Event
    ) -> None:
        self.study = study
        self.number = number
        self.folders = folders
        self.stopping = stopping
        self.is_pruned = False
        self._told: set[int] = set()

    @contextmanager
    def watching(self, is_asked: bool) -> Iterator[None]:
        """Watches while the block runs; all epochs are told when it ends, for the trials to come."""
        if not is_asked:
            yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._until, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.look()

    def look(self) -> None:
        """Tells the study of new epochs that were validated."""
        first_step = 0
        for folder in self.folders:
            history = read_history(folder.log(TRAINING))
            for each in history:
                step = first_step + each.epoch
                if each.figure is None or step in self._told:
                    continue
                self._told.add(step)
                if self.study.report(self.number, step, each.figure) and not self.is_pruned:
                    self.is_pruned = True
                    self.stopping.set()
            first_step += history[-1].epochs if history else 0

    def _until(self, ended: threading.Event) -> None:
        while not ended.wait(POLL_S):
            try:
                self.look()
            except OSError as error:
                logger.warning("%s", error)
