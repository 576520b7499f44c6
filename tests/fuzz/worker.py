"""The process that executes one target, over and over; it may hang or crash, its supervisor goes on.

One line of JSON per execution goes to the pipe that was its standard output, at once: after a crash, the only
execution that is missing is the one that caused it.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import logging
import os
import random
import resource
import signal
import warnings
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.mutations import mutated

_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Executes `--count` inputs of one target, from number `--first` on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of this campaign")
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, required=True, help="seconds for one execution")
    parser.add_argument("--guided", action="store_true", help="let Atheris choose inputs by coverage")
    options = parser.parse_args(arguments)
    report = _pipe_alone()
    _last_precautions(options.folder)
    if options.guided:
        # Imported here: Atheris must stand ready before the library is imported for the first time.
        from tests.fuzz.guided import run_guided

        run_guided(options, report)
    else:
        _run_own(options, report)


def _run_own(options: argparse.Namespace, report: int) -> None:
    """Unchanged inputs first, then mutations, each drawn from the seed, the target and its own number."""
    from tests.fuzz.judge import Judge
    from tests.fuzz.pool import Pool
    from tests.fuzz.targets import find_target

    target = find_target(options.target)
    pool = Pool(target, options.folder, first=options.first)
    judge = Judge(target, options.folder, report, time_limit_s=options.time_limit)
    for index in range(options.first, options.first + options.count):
        if index < len(pool.unchanged):
            data = pool.unchanged[index]
        else:
            drawn = random.Random(f"{options.seed}/{target.name}/{index}")
            data = mutated(
                drawn.choice(pool.inputs),
                drawn,
                others=pool.inputs,
                dictionary=target.dictionary,
                format_mutations=target.mutators,
            )
        pool.note(index, data, judge(index, data))


def _pipe_alone() -> int:
    """The pipe to the supervisor; what libraries print goes to the campaign's log, warnings are not made."""
    report = os.dup(1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    return report


def _last_precautions(folder: Path) -> None:
    """No core files, the stack of a crash in a file, and no orphan when the supervisor is killed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(file=(folder / "crash.txt").open("w", encoding="utf-8"))
    ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    main()
