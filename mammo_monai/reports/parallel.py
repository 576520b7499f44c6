"""Runs a function over many items in processes, results in order, with a bounded number under way."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from mammo_monai.errors import MammoError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 8  # items under way for each worker: memory stays flat whatever the number of items


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 1
) -> Iterator[Result]:
    """Results of `function` in the order of the items; a single worker stays in this process.

    Args:
        function: importable by name, as are its arguments and results: other processes run it.

    Raises:
        ValueError: less than one worker.
        MammoError: a process died, as from too little memory.

    >>> list(in_order(abs, [-2, 1]))
    [2, 1]
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}.")
    if workers == 1:
        yield from map(function, items)
        return
    under_way: deque[Future[Result]] = deque()
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= workers * _AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool as error:
        raise MammoError(
            "a process that reads images died, most often from too little memory. "
            "Run the same command with one worker; what is finished is kept."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
