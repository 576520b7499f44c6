"""Loads and prepares the next images while the network works on the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mammo_monai.inference.sources import Sample, Samples


@dataclass(frozen=True, eq=False)
class Loaded:
    """One image: its number in the data set, and its sample or what loading it raised."""

    number: int
    sample: Sample | None
    error: Exception | None = None


@contextmanager
def decoded_ahead(
    dataset: Samples, numbers: Sequence[int], *, workers: int = 1, pin: bool = False
) -> Iterator[Iterator[Loaded]]:
    """The samples of a data set one after the other, in the order of `numbers`, errors in their place.

    Threads, not processes: decoders, numpy and torch let go of Python's lock while they work, nothing is
    copied between processes, and engines with threads of their own are never forked.

    Args:
        workers: threads that load; at most as many films wait, beside the one that is handed out. 0 loads
            each image when it is asked for, in the caller's thread.
        pin: put images into page-locked memory, from where a GPU fetches them while it computes.

    Raises:
        ValueError: `workers` is negative.
    """
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}.")

    def load(number: int) -> Loaded:
        try:
            sample = dataset[number]
            if pin:
                sample = {**sample, "image": sample["image"].pin_memory()}
        except Exception as error:  # whatever a file or a transform raises belongs to this image
            return Loaded(number, None, error)
        return Loaded(number, sample)

    if workers == 0:
        yield map(load, numbers)
        return
    # A data set may seed and restore torch's generator around each item: in turn this is exact, in threads
    # the last one to finish restores what another had seeded.
    state = torch.get_rng_state()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode-ahead")
    try:
        yield _in_order(pool, load, numbers, workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_rng_state(state)


def _in_order(
    pool: ThreadPoolExecutor, load: Callable[[int], Loaded], numbers: Sequence[int], workers: int
) -> Iterator[Loaded]:
    waiting: deque[Future[Loaded]] = deque()
    for number in numbers:
        waiting.append(pool.submit(load, number))
        if len(waiting) > workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
