"""`mammo-monai calibrate`: chooses operating points and calibrates scores, writes operating_points.json."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.cli.rule_options import add_rule_options, rule_from

METHODS = ("platt", "temperature", "isotonic")


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "calibrate",
        help="choose operating points on validation images",
        description="Chooses thresholds for .25, .5, 1 and 2 false positives per image, and the probability "
        "behind each score, from detections of validation images: those of one model, or of the models of "
        "all folds, pooled. `predict --fppi` applies them.",
    )
    add = parser.add_argument
    add(
        "detections",
        type=Path,
        nargs="+",
        metavar="DETECTIONS",
        help="detections.json of one model, or of every fold",
    )
    add(
        "--manifest",
        type=Path,
        required=True,
        metavar="MANIFEST",
        help="one manifest.json with all their images",
    )
    add("--split", choices=("training", "validation", "test"), help="one list (default: all)")
    add("--method", choices=METHODS, default="platt", help="how scores become probabilities (%(default)s)")
    add("-o", "--output", type=Path, required=True, metavar="POINTS", help="operating_points.json to write")
    add("--plot", type=Path, metavar="FILE", help="draw points and reliability as .png or .svg")
    add_rule_options(parser, doubles="further detections on a found lesion are misses")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Chooses, writes, prints the points."""
    from mammo_monai.metrics import CALIBRATED_FPPI, calibrate_files
    from mammo_monai.reports.plots import check_plot_path, save_points_plot
    from mammo_monai.reports.tables.operating_points import points_headline, points_table
    from mammo_monai.schema import write_operating_points

    refuse_overwriting(args.output, (*args.detections, args.manifest))
    if args.plot:
        check_plot_path(args.plot)
    rule = rule_from(args, fppi=CALIBRATED_FPPI)
    found = calibrate_files(args.detections, args.manifest, split=args.split, rule=rule, method=args.method)
    write_operating_points(args.output, found.points)
    if args.plot:
        save_points_plot(args.plot, found.points, found.curve)
    print(points_table(found.points).as_text(), points_headline(found.points), sep="\n")
    return 0
