"""Fuzzes the readers: `python -m tests.fuzz.run --executions 100000 --out build/fuzz`.

The same command goes on where a run was interrupted. The exit code is 1 when anything failed; the inputs then
lie in OUT/failures/TARGET.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.corpus import grow, stored_inputs
from tests.fuzz.figures import Tally, write_figures
from tests.fuzz.guided import is_available
from tests.fuzz.harness import TIME_LIMIT_S
from tests.fuzz.judge import failures_folder
from tests.fuzz.pool import joined_inputs
from tests.fuzz.supervision import Campaign, Plan
from tests.fuzz.targets import all_targets, find_target

_POLL_S = 0.01
_PROGRESS_EVERY_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the campaigns, writes figures.json, and returns the exit code."""
    options = _parser().parse_args(arguments)
    names = options.targets or sorted(all_targets())
    try:
        for name in names:
            find_target(name)
    except KeyError as error:
        _say(f"there is no target {error}; there are {', '.join(sorted(all_targets()))}")
        return 2
    share = options.guided_share if is_available() else 0.0
    guided = round(options.executions * share)
    plan = Plan(
        own=options.executions - guided,
        guided=guided,
        seed=options.seed,
        time_limit_s=options.time_limit,
    )
    campaigns = [Campaign(name, options.out, plan) for name in names]
    tallies = [campaign.tally for campaign in campaigns]
    try:
        _run(campaigns, options.executions * len(names), workers=options.workers)
    finally:
        for campaign in campaigns:
            campaign.stop()
    if options.grow:
        for campaign in campaigns:
            _grow(campaign)
    sizes = {name: len(stored_inputs(name)) for name in names}
    write_figures(options.out / "figures.json", tallies, sizes)
    failed = [tally for tally in tallies if tally.failed]
    for tally in failed:
        _say(f"{tally.target}: {tally.failed} failures, see {options.out}/failures/{tally.target}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--executions", type=int, default=100_000, help="per target")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--targets", nargs="+", help="all when not given")
    parser.add_argument("--workers", type=int, default=1, help="targets executed at the same time")
    parser.add_argument("--seed", type=int, default=0, help="of our own mutator")
    parser.add_argument("--guided-share", type=float, default=0.5, help="of executions chosen by Atheris")
    parser.add_argument(
        "--time-limit", type=float, default=TIME_LIMIT_S, help="seconds; more only where others use the cores"
    )
    parser.add_argument("--grow", action="store_true", help="add what was found to tests/fuzz/corpus")
    return parser


def _run(campaigns: Sequence[Campaign], total: int, *, workers: int) -> None:
    before = sum(campaign.tally.executions for campaign in campaigns)
    started = told_at = time.monotonic()
    while waiting := [campaign for campaign in campaigns if not campaign.is_done]:
        for campaign in waiting[:workers]:
            campaign.poll()
        now = time.monotonic()
        if now - told_at > _PROGRESS_EVERY_S:
            told_at = now
            _tell([campaign.tally for campaign in campaigns], before, total, now - started)
        time.sleep(_POLL_S)


def _tell(tallies: Sequence[Tally], before: int, total: int, elapsed_s: float) -> None:
    done = sum(tally.executions for tally in tallies)
    rate = (done - before) / elapsed_s
    left_min = f"{(total - done) / rate / 60:.0f} min" if rate else "unknown"
    failed = sum(tally.failed for tally in tallies)
    begun = next((tally.target for tally in reversed(tallies) if tally.executions), "")
    _say(f"{done}/{total} executions ({begun}), {rate:.0f}/s, {failed} failures, {left_min} left")


def _grow(campaign: Campaign) -> None:
    """Failures first, the smallest first; then what did something new."""
    failures = failures_folder(campaign.folder)
    failed = [path.read_bytes() for path in failures.iterdir()] if failures.is_dir() else []
    added = grow(campaign.tally.target, [*sorted(failed, key=len), *joined_inputs(campaign.folder)])
    _say(f"{campaign.tally.target}: {added} inputs added to the corpus")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
