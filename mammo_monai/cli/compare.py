"""`mammo-monai compare`: two detectors on the same images, with interval, p-value and what differs."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.cli.rule_options import add_class_options, add_rule_options, rule_from, rule_words

NUMBERS = ("split", "fppi", "min_iou", "label", "bootstrap", "permutations", "seed")


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    about = "Takes the detections of two models on the same images and prints B minus A in sensitivity per "
    about += "lesion, with paired interval and p-value over patients, and what one alone found."
    parser = subparsers.add_parser(
        "compare", help="compare two detectors on the same images, patient by patient", description=about
    )
    add = parser.add_argument
    add("first", type=Path, metavar="A", help="detections.json, or a folder that holds it")
    add("second", type=Path, metavar="B", help="likewise, of the same images")
    add("--manifest", type=Path, required=True, metavar="MANIFEST", help="manifest.json with the lesions")
    add("--split", choices=("training", "validation", "test"), help="one list (default: all)")
    add("--name", action="append", metavar="NAME", help="of A, and again of B (default: model or file)")
    add("-o", "--output", type=Path, metavar="HTML", help="the page to write")
    add("--csv", type=Path, metavar="FILE", help="write the figures with all digits there")
    add(
        "--fppi",
        type=float,
        default=1.0,
        metavar="N",
        help="false positives per image where lesions and images are compared (%(default)s)",
    )
    add(
        "--permutations",
        type=int,
        default=1000,
        metavar="N",
        help="swaps of the permutation test (%(default)s)",
    )
    add(
        "--banner",
        default="",
        metavar="TEXT",
        help="a sentence on top of the page, e.g. where the images come from",
    )
    add_rule_options(parser)
    add_class_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compares, writes what was asked for, prints the tables."""
    from mammo_monai.reports.comparison.compared import CompareOptions, compare_files
    from mammo_monai.reports.comparison.page import ComparisonPageOptions, write_comparison
    from mammo_monai.reports.comparison.tables import as_text, write_csv

    files = (args.first, args.second, args.manifest)
    beside = [path / "detections.json" for path in files[:2]]
    for output in (args.output, args.csv):
        refuse_overwriting(output, (*files, *beside))
    options = CompareOptions(args.split, args.name, rule_from(args), args.permutations, args.fppi)
    compared = compare_files(*files, options)
    if args.csv:
        write_csv(args.csv, compared)
    if args.output:
        page = ComparisonPageOptions(args.banner, _command(args))
        write_comparison(args.output, compared, options=page)
    print(as_text(compared))
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command without folders: a page may be passed on, paths may name people."""
    first, second = (path.absolute().name for path in (args.first, args.second))
    words = ["mammo-monai", "compare", first, second, "--manifest", args.manifest.name]
    given = {name.replace("_", "-"): getattr(args, name) for name in NUMBERS}
    words += [each for name in given if given[name] is not None for each in (f"--{name}", str(given[name]))]
    words += [*rule_words(args), *(word for name in args.name or () for word in ("--name", name))]
    words += ["--banner", args.banner] if args.banner else []
    return shlex.join([*words, *(["-o", args.output.name] if args.output else [])])
