"""`mammo-monai experiment sweep`: many values of an experiment's run, searched by Optuna, resumable."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from mammo_monai.cli.trust_option import add_trust_option
from mammo_monai.words import counted


def add_sweep_parser(actions: Any) -> None:
    """Adds the action."""
    parser = actions.add_parser("sweep", help="search values by trials (extra optuna); goes on after a kill")
    add = parser.add_argument
    add("file", type=Path, metavar="FILE|NAME", help="experiment.json with a sweep, or a shipped name")
    add(
        "--manifest",
        action="append",
        default=[],
        metavar="MANIFEST",
        help="manifest.json instead of the file's",
    )
    add("--trials", type=int, metavar="N", help="in all, with those done before (the file's number)")
    add("--workers", type=int, default=1, metavar="N", help="trials at a time (%(default)s)")
    add("--out", type=Path, metavar="DIR", help="the runs' folder (runs/NAME)")
    add_trust_option(parser)


def run_sweep(args: argparse.Namespace) -> int:
    """Does the trials that are missing; prints them, best first; 1 if one failed."""
    from mammo_monai.experiments import find_experiment
    from mammo_monai.experiments import sweeps as ours

    sweep = replace(ours.read_sweep(find_experiment(args.file)), is_trusted=args.trust)
    out = args.out or Path("runs") / sweep.name
    sweeper = ours.Sweeper(sweep, out, manifests=args.manifest, n_trials=args.trials, workers=args.workers)
    trials = sweeper.run()
    written = ours.write_sweep(out, sweep, trials, names=args.manifest)
    print(ours.trials_table(sweep, trials).as_text())
    print("".join(f"\nwrote {each}" for each in written).strip())
    print(f"table: mammo-monai experiment table {out} -o {out / 'table.html'}")
    if ours.best_trial(sweep, trials) is not None:
        print(ours.optimism_text(sweep, trials))
    return 1 if any(each.state == "failed" for each in trials) else 0


def check_sweep_file(args: argparse.Namespace) -> int:
    """Checks a file that holds a sweep.

    Raises:
        ValueError: options that hold for runs of a file.
    """
    from mammo_monai.experiments import sweeps as ours

    if args.folds or args.only or args.folds_file:
        raise ValueError(
            f"{args.file}: a sweep has one run and makes its own folds: leave out --folds and --only."
        )
    sweep = replace(ours.read_sweep(args.file), is_trusted=args.trust)
    n_runs = ours.check_sweep(sweep, args.manifest)
    n_trials = "the whole grid" if sweep.n_trials is None else counted(sweep.n_trials, "trial")
    print(f"{args.file}: {n_trials}, {n_runs} trainings or predictions for the first, nothing wrong")
    return 0
