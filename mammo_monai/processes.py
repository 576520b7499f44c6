"""Worker processes: spawned, gone with their parent; an item that kills its process costs itself alone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
UNDER_WAY = 8  # items for each worker: memory stays flat however many there are
DIED = "the process that read it died: a damaged file, or too little memory"


class WorkerPool(Generic[Item, Result]):
    """Applies a function to items in processes; a context manager, to be used for several rounds.

    With one worker the caller's own process does the work. Workers are spawned, never forked from a process
    that may hold threads, so the calling script needs the usual `if __name__ == "__main__"` guard.

    Args:
        work: a module's function, as its items and results go from process to process; may raise, which ends
            the round.
        on_death: the result for an item that kills its process (a decoder's crash, out of memory).

    Raises:
        ValueError: less than one worker.

    >>> with WorkerPool(abs, 1, on_death=abs) as pool:
    ...     list(pool.results([-2, 1]))
    [2, 1]
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

    def results(self, items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items, which are taken as they are needed."""
        if self.workers == 1:
            yield from map(self.work, items)
            return
        waiting = iter(items)
        under_way: deque[tuple[Item, Future[Result] | None]] = deque()
        while True:
            room = self.workers * UNDER_WAY - len(under_way)
            under_way.extend((item, self._submitted(item)) for item in islice(waiting, room))
            if not under_way:
                return
            future = under_way[0][1]
            try:
                if future is None:  # a process had died before it was begun
                    raise BrokenProcessPool
                result = future.result()
            except BrokenProcessPool:
                yield from self._one_by_one([each for each, _ in under_way])
                under_way.clear()
            else:
                under_way.popleft()
                yield result

    def _submitted(self, item: Item) -> Future[Result] | None:
        if self._pool is None:
            self._pool = self._started(self.workers)
        with suppress(BrokenProcessPool):
            return self._pool.submit(self.work, item)
        return None

    def _one_by_one(self, items: Iterable[Item]) -> Iterator[Result]:
        """Those under way when a process died, alone in a process: only the culprit dies again."""
        self._close()
        for item in items:
            if self._pool is None:
                self._pool = self._started(1)
            try:
                result = self._pool.submit(self.work, item).result()
            except BrokenProcessPool:
                self._close()
                result = self.on_death(item)
            yield result
        self._close()

    @staticmethod
    def _started(workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), begin_worker)

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def begin_worker() -> None:
    """What each worker does first: logs as the command does, leaves Ctrl-C and its end to its parent."""
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
