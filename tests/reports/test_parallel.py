"""Results come in the order of the items, from any number of processes, with few under way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mammo_monai.errors import MammoError
from mammo_monai.reports.parallel import in_order


def died(_: int) -> None:
    os._exit(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    names = [f"{n}.png" for n in range(40)]
    assert list(in_order(Path, names, workers=workers)) == [Path(name) for name in names]


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def items():
        for n in range(1000):
            taken.append(n)
            yield n

    results = in_order(abs, items(), workers=2)
    assert next(results) == 0
    assert len(taken) <= 2 * 8
    results.close()


def test_a_process_that_dies_is_one_error_with_a_remedy() -> None:
    with pytest.raises(MammoError, match=r"died, most often from too little memory. Run .* one worker"):
        list(in_order(died, [1, 2], workers=2))


def test_less_than_one_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        list(in_order(abs, [1], workers=0))
