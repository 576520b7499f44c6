from __future__ import annotations

import os

import pytest
import torch

from mammo_monai.data.worker_pool import WorkerPool


def worked(number: int) -> tuple[int, int]:
    if number == 99:
        raise OSError(28, "full")
    return 2 * number, torch.get_num_threads()


def deadly(number: int) -> str:
    """Kills its process at 1, as a decoder's crash would."""
    if number == 1:
        os._exit(3)
    return f"{number} done"


def lost(number: int) -> str:
    return f"{number} lost"


@pytest.mark.slow  # with two, processes import torch
@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_has_one_result_of_one_thread_and_an_error_ends_the_round(workers: int) -> None:
    before = torch.get_num_threads()
    with WorkerPool(worked, workers, worked) as pool:
        assert list(pool.results([])) == []
        for count in (1, 20):
            assert sorted(pool.results(range(count))) == [(2 * n, 1) for n in range(count)]
        with pytest.raises(OSError, match="full"):
            list(pool.results([0, 99, 1, 2]))
    assert torch.get_num_threads() == before


@pytest.mark.slow  # four processes import torch
def test_an_item_that_kills_its_process_costs_itself_alone() -> None:
    with WorkerPool(deadly, 2, lost) as pool:
        found = sorted(pool.results(range(4)))
    assert found == ["0 done", "1 lost", "2 done", "3 done"]


def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        WorkerPool(worked, 0, worked)
