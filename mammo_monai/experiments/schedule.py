"""The order in which runs are done: each after those it needs, as many at a time as workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal

from mammo_monai.experiments.plan import Key, PlannedRun, label_of

Outcome = Literal["done", "done before", "failed", "busy", "skipped", "stopped"]
DONE: tuple[Outcome, ...] = ("done", "done before")


@dataclass(frozen=True)
class Finished:
    """How one run on one fold came out; `message` says why where it is not done."""

    name: str
    fold: str
    outcome: Outcome
    message: str = ""

    @property
    def is_done(self) -> bool:
        """Whether its weights and its result are there."""
        return self.outcome in DONE

    def as_line(self) -> str:
        """One line for a list.

        >>> each = Finished("light", "1", "failed", "no such file"), Finished("first", "once", "done")
        >>> each[0].as_line(), each[1].as_line()
        ('light, fold 1: failed: no such file', 'first: done')
        """
        why = f": {self.message}" if self.message else ""
        return f"{label_of((self.name, self.fold)).removeprefix('run ')}: {self.outcome}{why}"


@dataclass(frozen=True)
class Schedule:
    """Runs in an order in which parents come first.

    Attributes:
        work: does a run; no exception of a run leaves it.
        after: told of each run once it has come out, one after another.
        on_error: called before an exception, Ctrl-C among them, leaves `perform` and the runs under way are
            waited for.
    """

    work: Callable[[PlannedRun], Finished]
    after: Callable[[PlannedRun, Finished], None]
    on_error: Callable[[], None]

    def perform(self, runs: Sequence[PlannedRun], *, workers: int) -> list[Finished]:
        """Does all runs; those whose parent or member has failed are skipped, the others go on.

        Returns:
            How each came out, in the order of `runs`.
        """
        finished: dict[Key, Finished] = {}
        waiting, active = list(runs), dict[Future[Finished], PlannedRun]()
        with ThreadPoolExecutor(workers) as pool:
            try:
                while waiting or active:
                    waiting = self._skipped_left_out(waiting, finished)
                    for planned in _ready(waiting, finished)[: workers - len(active)]:
                        waiting.remove(planned)
                        active[pool.submit(self.work, planned)] = planned
                    for future in wait(active, return_when=FIRST_COMPLETED).done if active else ():
                        planned = active.pop(future)
                        finished[planned.key] = future.result()
                        self.after(planned, finished[planned.key])
            except BaseException:
                self.on_error()
                pool.shutdown(cancel_futures=True)
                raise
        return [finished[each.key] for each in runs]

    def _skipped_left_out(
        self, waiting: Sequence[PlannedRun], finished: dict[Key, Finished]
    ) -> list[PlannedRun]:
        left = []
        for planned in waiting:
            needed = [finished[key] for key in planned.needs if key in finished]
            without = next((each for each in needed if not each.is_done), None)
            if without is None:
                left.append(planned)
                continue
            is_stopped = without.outcome == "stopped"
            what = "member" if (without.name, without.fold) in planned.members else "parent"
            where = label_of((without.name, without.fold))
            why = "" if is_stopped else f"{what} {without.outcome} ({where})"
            outcome: Outcome = "stopped" if is_stopped else "skipped"
            finished[planned.key] = Finished(*planned.key, outcome, why)
            self.after(planned, finished[planned.key])
        return left


def _ready(waiting: Sequence[PlannedRun], finished: dict[Key, Finished]) -> list[PlannedRun]:
    return [each for each in waiting if all(key in finished for key in each.needs)]
