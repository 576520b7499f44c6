"""Worker processes for images: spawned, single-threaded, gone with their parent; one may die of a file."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # tasks waiting per worker: memory stays flat however many there are


class WorkerPool(Generic[Item, Result]):
    """Applies a function to items in processes; a context manager, to be used for several rounds.

    With one worker the caller's own process does the work. Workers are spawned, never forked from a process
    that may hold threads, so the calling script needs the usual `if __name__ == "__main__"` guard.

    Args:
        work: a module's function; may raise, which ends the round.
        on_death: the result for an item that kills its process (a decoder's crash, out of memory).
    """

    def __init__(
        self, work: Callable[[Item], Result], workers: int, on_death: Callable[[Item], Result]
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self.work = work
        self.workers = workers
        self.on_death = on_death
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> WorkerPool[Item, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def results(self, items: Sequence[Item]) -> Iterator[Result]:
        """The results as they are finished, in no order."""
        if self.workers == 1:
            yield from self._alone(items)
            return
        waiting, running = list(reversed(items)), dict[Future[Result], Item]()
        while waiting or running:
            try:
                while waiting and len(running) < self.workers * (1 + AHEAD):
                    running[self._started().submit(self.work, waiting[-1])] = waiting[-1]
                    waiting.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del running[future]
                    yield result
            except BrokenProcessPool:
                yield from self._one_by_one(list(running.values()))
                running.clear()

    def _one_by_one(self, items: Sequence[Item]) -> Iterator[Result]:
        """Those in work when a process died, alone in a process: only the culprit dies again."""
        self._close()
        for item in items:
            try:
                yield self._started(1).submit(self.work, item).result()
            except BrokenProcessPool:
                self._close()
                yield self.on_death(item)
        self._close()

    def _alone(self, items: Sequence[Item]) -> Iterator[Result]:
        for item in items:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                result = self.work(item)
            finally:
                torch.set_num_threads(threads)
            yield result

    def _started(self, workers: int | None = None) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers or self.workers, context, _begin_worker)
        return self._pool

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _begin_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends the pool
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """Ends this process when its parent was killed: a pool's queue alone would keep it waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        with suppress(OSError):
            parent.join()
        os._exit(1)
