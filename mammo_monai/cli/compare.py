"""`mammo-monai compare`: two detectors on the same images, with interval, p-value and what differs."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

RULE = ("split", "fppi", "min_iou", "label", "bootstrap", "permutations", "seed")


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    about = "Prints B minus A in sensitivity, with paired interval and p-value, and what one alone found."
    parser = subparsers.add_parser("compare", help="compare two detectors", description=about)
    add = parser.add_argument
    add("first", type=Path, metavar="A", help="detections.json, or a folder that holds it")
    add("second", type=Path, metavar="B", help="likewise, of the same images")
    add("--manifest", type=Path, required=True, metavar="M", help="manifest.json with the lesions")
    add("--split", choices=("training", "validation", "test"), help="one list (default: all)")
    add("--name", action="append", metavar="NAME", help="of A, and again of B (default: model or file)")
    add("-o", "--output", type=Path, metavar="HTML", help="the page to write")
    add("--csv", type=Path, metavar="F", help="file for the figures with all digits")
    add("--fppi", type=float, default=1.0, help="where lesions and images are compared (%(default)s)")
    add("--min-iou", type=float, default=0.2, help="a hit overlaps more than this (%(default)s)")
    add("--count-double-hits", action="store_true", help="further detections on a lesion are false positives")
    add("--label", type=int, default=0, help="the class to score (%(default)s, mass)")
    add("--bootstrap", type=int, default=1000, metavar="N", help="resamples (%(default)s)")
    add("--permutations", type=int, default=1000, metavar="N", help="swaps (%(default)s)")
    add("--seed", type=int, default=0, help="of both (%(default)s)")
    add("--banner", default="", help="a sentence on top of the page, e.g. where the images come from")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compares, writes what was asked for, prints the tables."""
    from mammo_monai.metrics import FrocRule
    from mammo_monai.reports import comparison, comparison_page, comparison_tables

    files, doubles = (args.first, args.second, args.manifest), args.count_double_hits
    comparison.reject_overwriting((args.output, args.csv), files)
    rule = FrocRule(args.min_iou, doubles, args.label, n_bootstrap=args.bootstrap, seed=args.seed)
    options = comparison.CompareOptions(args.split, args.name, rule, args.permutations, args.fppi)
    compared = comparison.compare_files(*files, options)
    if args.csv:
        comparison_tables.write_csv(args.csv, compared)
    if args.output:
        page = comparison_page.ComparisonPageOptions(args.banner, _command(args))
        comparison_page.write_comparison(args.output, compared, options=page)
    print(comparison_tables.as_text(compared))
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command without folders: a page may be passed on, paths may name people."""
    words = ["mammo-monai", "compare", args.first.name, args.second.name, "--manifest", args.manifest.name]
    given = {name.replace("_", "-"): getattr(args, name) for name in RULE}
    words += [each for name in given if given[name] is not None for each in (f"--{name}", str(given[name]))]
    return shlex.join([*words, "--count-double-hits"] if args.count_double_hits else words)
