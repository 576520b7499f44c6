"""`mammo-monai evaluate`: scores detections against a manifest and writes metrics.json."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score detections: FROC with intervals",
        description="Scores anybody's detections.json against the lesions of a manifest, per lesion, false "
        "positives over all images, and writes the figures with the rule behind them.",
    )
    add = parser.add_argument
    add("detections", type=Path, help="detections.json")
    add("--manifest", type=Path, required=True, metavar="M", help="manifest.json with the lesions")
    add("--split", choices=("training", "validation", "test"), help="one list (default: all)")
    add("--min-iou", type=float, default=0.2, help="a hit overlaps more than this (%(default)s)")
    double = "further detections on a found lesion are false positives"
    add("--count-double-hits", action="store_true", help=double)
    add("--label", type=int, default=0, help="the class to score (%(default)s, mass)")
    thresholds = "of calibrate: its thresholds for the images without lesions"
    add("--operating-points", type=Path, metavar="POINTS", help=thresholds)
    add("--bootstrap", type=int, default=1000, metavar="N", help="resamples (%(default)s)")
    add("--seed", type=int, default=0, help="of the resampling (%(default)s)")
    add("-o", "--output", type=Path, required=True, metavar="METRICS", help="metrics.json")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scores, writes, prints the operating points."""
    from mammo_monai.metrics import FrocRule, evaluate_files
    from mammo_monai.reports.runs import Run
    from mammo_monai.reports.tables import headline, normal_points_table, run_table
    from mammo_monai.schema import write_metrics

    rule = FrocRule(
        args.min_iou, args.count_double_hits, args.label, n_bootstrap=args.bootstrap, seed=args.seed
    )
    more = {"split": args.split, "rule": rule, "operating_points": args.operating_points}
    metrics = evaluate_files(args.detections, args.manifest, **more)
    write_metrics(args.output, metrics)
    scored = Run(args.detections.name, metrics)
    normals = normal_points_table([scored]) if args.operating_points else None
    lines = [normals.caption, normals.as_text()] if normals else []
    print(run_table(scored).as_text(), *lines, headline(scored), sep="\n")
    return 0
