"""`mammo-monai evaluate`: scores detections against a manifest and writes metrics.json."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.cli.rule_options import add_class_options, add_rule_options, rule_from


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score detections: FROC with intervals",
        description="Scores anybody's detections.json against the lesions of a manifest, per lesion and "
        "with false positives over all images unless told otherwise, and writes the figures with the rule.",
    )
    add = parser.add_argument
    add(
        "detections",
        type=Path,
        metavar="DETECTIONS",
        help="detections.json, boxes in pixels of the original image",
    )
    add(
        "--manifest",
        type=Path,
        required=True,
        metavar="MANIFEST",
        help="manifest.json with the lesions, the truth",
    )
    add("--split", choices=("training", "validation", "test"), help="one list (default: all)")
    thresholds = "made by `calibrate`: its thresholds, tried on the images without lesions"
    add("--operating-points", type=Path, metavar="POINTS", help=thresholds)
    add("-o", "--output", type=Path, required=True, metavar="METRICS", help="metrics.json to write")
    subgroups = "also print sensitivity by view, side, density, pathology …, as far as the manifest tells"
    add("--subgroups", action="store_true", help=subgroups)
    add_rule_options(parser)
    add_class_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scores, writes, prints the operating points, and the areas of a model that scores images."""
    from mammo_monai.metrics import evaluate_files
    from mammo_monai.reports.runs import Run
    from mammo_monai.reports.tables.image_tables import image_lines
    from mammo_monai.reports.tables.run_tables import headline, normal_points_table, run_table
    from mammo_monai.reports.tables.subgroup_tables import subgroup_false_positive_table, subgroup_table
    from mammo_monai.schema import write_metrics

    refuse_overwriting(args.output, (args.detections, args.manifest, args.operating_points))
    more = {"split": args.split, "rule": rule_from(args), "operating_points": args.operating_points}
    metrics = evaluate_files(args.detections, args.manifest, require_lesions=True, **more)
    write_metrics(args.output, metrics)
    scored = Run(args.detections.name, metrics)
    lines = [run_table(scored).as_text()] if scored.points else []
    tables = [normal_points_table([scored])] if args.operating_points else []
    tables += [subgroup_table([scored]), subgroup_false_positive_table([scored])] if args.subgroups else []
    for table in filter(None, tables):
        lines += [table.caption, table.as_text(), *table.footnotes]
    print(*lines, *image_lines(scored), headline(scored), sep="\n")
    return 0
