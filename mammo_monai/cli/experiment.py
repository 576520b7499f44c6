"""`mammo-monai experiment run|sweep|table|check`: runs × folds of bundles with overrides, compared."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.experiment_sweep import add_sweep_parser, check_sweep_file, run_sweep
from mammo_monai.cli.trust_option import add_trust_option


def add_parser(subparsers: Any) -> None:
    """Adds the verb with its four actions."""
    verb = subparsers.add_parser("experiment", help="train runs over folds, resumable; compare them")
    actions = verb.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_ = actions.add_parser("run", help="do what is not finished; goes on after a kill")
    table = actions.add_parser("table", help="compare finished runs: intervals, differences, curves")
    add_sweep_parser(actions)
    check = actions.add_parser("check", help="say what is wrong with a file, before anything is trained")
    for parser in (run_, check):
        add = parser.add_argument
        add("file", type=Path, metavar="FILE|NAME", help="experiment.json, or the name of a shipped one")
        add(
            "--manifest",
            action="append",
            default=[],
            metavar="MANIFEST",
            help="manifest.json instead of the file's; once per data set",
        )
        add("--folds-file", type=Path, metavar="FOLDS", help="folds.json instead of the file's")
        add("--folds", metavar="NUMBERS", help="folds to do, such as 1 or 1-3,5 (all)")
        add("--only", nargs="+", default=[], metavar="NAME", help="these runs (all)")
        add_trust_option(parser)
    run_.add_argument("--out", type=Path, metavar="DIR", help="the runs' folder (runs/NAME)")
    run_.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time (%(default)s)")
    run_.add_argument("--redo", action="store_true", help="do runs afresh whose configuration has changed")
    run_.add_argument("--mlflow", metavar="URI", help="log to this MLflow store too (extra mlflow)")
    table.add_argument("directory", type=Path, metavar="DIR", help="the runs' folder")
    table.add_argument("-o", "--output", type=Path, metavar="TABLE", help=".html, .md or .csv")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs, compares or checks; 1 if a run failed."""
    if args.action == "sweep":
        return run_sweep(args)
    from mammo_monai import experiments as ours
    from mammo_monai.experiments.sweeps import is_sweep

    if args.action != "table":
        args.file = ours.find_experiment(args.file)
    if args.action == "check" and is_sweep(args.file):
        return check_sweep_file(args)
    if args.action == "table":
        results = ours.read_results(args.directory)
        if args.output:
            ours.write_table(args.output, results)
        missing = ours.missing_table(results)
        tables = [*ours.runs_tables(results), *([missing] if missing else [])]
        print("\n\n".join(table.as_text() for table in tables))
        return 0
    folds = ours.fold_selection(args.folds) if args.folds else None
    choice = ours.Choice(folds, tuple(args.only), tuple(args.manifest), args.folds_file)
    experiment = ours.read_experiment(args.file)
    plan = ours.make_plan(ours.trusted(experiment) if args.trust else experiment, choice)
    if args.action == "check":
        ours.build_parts(plan)
        print(f"{args.file}: {len(plan.runs)} trainings or predictions, nothing wrong")
        return 0
    out = args.out or Path("runs") / plan.experiment.name
    tracker = ours.MlflowTracker(args.mlflow, plan.experiment.name) if args.mlflow else None
    finished = ours.Runner(plan, out, workers=args.workers, redo=args.redo, tracker=tracker).run()
    print("\n".join(each.as_line() for each in finished))
    print(f"table: mammo-monai experiment table {out} -o {out / 'table.html'}")
    return 0 if all(each.is_done for each in finished) else 1
