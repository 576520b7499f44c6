"""`mammo-monai patches`: figures of patch classifiers from class_scores.json, one against another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "patches",
        help="figures of patch classifiers, with paired tests",
        description="Prints accuracy, AUC, sensitivity, specificity and F1 of the answers in "
        "class_scores.json (a bundle's evaluating writes it), mean ± SD over several runs, and how another "
        "model differs on the same patches. Intervals and p-values are over patients.",
    )
    add = parser.add_argument
    add("scores", type=Path, nargs="+", metavar="SCORES", help="class_scores.json, one per run")
    add(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="OTHER",
        help="class_scores.json of another model, as many",
    )
    add("-o", "--output", type=Path, metavar="FILE", help="JSON file for all figures")
    add(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="draws of patients for intervals (%(default)s)",
    )
    add("--permutations", type=int, default=1000, metavar="N", help="swaps of the paired test (%(default)s)")
    add("--confidence", type=float, default=0.95, metavar="SHARE", help="that intervals cover (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="of draws and swaps (%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scores, writes what was asked for, prints the tables."""
    from mammo_monai.files import write_json_atomic
    from mammo_monai.metrics import FrocRule, score_class_files
    from mammo_monai.reports.tables.classification_tables import class_tables

    refuse_overwriting(args.output, (*args.scores, *args.against))
    rule = FrocRule(n_bootstrap=args.bootstrap, seed=args.seed, confidence=args.confidence)
    scored = score_class_files(args.scores, args.against, rule=rule, n_permutations=args.permutations)
    if args.output:
        write_json_atomic(args.output, scored.as_json())
    for table in class_tables(scored):
        print(table.caption, table.as_text(), *table.footnotes, sep="\n", end="\n\n")
    return 0
