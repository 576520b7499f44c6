"""Results come in the order of the items, from any number of processes; who dies costs itself alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mammo_monai.processes import UNDER_WAY, WorkerPool


def worked(number: int) -> int:
    if number == 99:
        raise OSError(28, "full")
    return 2 * number


def deadly(number: int) -> str:
    """Kills its process at 1 and 2, as a decoder's crash would."""
    if number in (1, 2):
        os._exit(3)
    return f"{number} done"


def lost(number: int) -> str:
    return f"{number} lost"


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items_and_an_error_ends_the_round(workers: int) -> None:
    with WorkerPool(worked, workers, worked) as pool:
        assert list(pool.results([])) == []
        for count in (1, 40):
            assert list(pool.results(range(count))) == [2 * n for n in range(count)]
        with pytest.raises(OSError, match="full"):
            list(pool.results([0, 99, 1, 2]))


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_as_they_are_needed(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    with WorkerPool(worked, workers, worked) as pool:
        results = pool.results(items())
        assert next(results) == 0
        assert len(taken) <= workers * UNDER_WAY
        results.close()  # type: ignore[attr-defined]  # a generator


def test_items_that_kill_their_process_cost_themselves_alone() -> None:
    with WorkerPool(deadly, 2, lost) as pool:
        found = list(pool.results(range(20)))
    assert found == ["0 done", "1 lost", "2 lost", *(f"{n} done" for n in range(3, 20))]


def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        WorkerPool(worked, 0, worked)


SCRIPT = """
    import os, sys, time
    from pathlib import Path
    from mammo_monai.processes import WorkerPool

    def work(folder):
        (Path(folder) / str(os.getpid())).touch()
        time.sleep(0.2)

    if __name__ == "__main__":
        with WorkerPool(work, 2, work) as pool:
            list(pool.results([sys.argv[1]] * 1000))
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="processes are looked up as POSIX does")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script, ids = tmp_path / "run.py", tmp_path / "ids"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    ids.mkdir()
    parent = subprocess.Popen([sys.executable, script, ids], start_new_session=True)
    try:
        assert becomes(lambda: len(list(ids.iterdir())) == 2)
        parent.kill()
        parent.wait()
        assert becomes(lambda: not any(is_alive(int(each.name)) for each in ids.iterdir()))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def becomes(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
