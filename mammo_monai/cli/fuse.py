"""`mammo-monai fuse`: makes one detections.json of those of several models on the same images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.fusion_options import add_fusion_options, fused_text, fusion_rule
from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.words import counted


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "fuse",
        help="make one detections.json of those of several models",
        description="Fuses detections of the same images. Each model's scores pass through its own "
        "calibration first: that of --points, else of the bundle its file names. `predict` with several "
        "bundles predicts and fuses in one go.",
    )
    add = parser.add_argument
    add("detections", type=Path, nargs="+", metavar="DETECTIONS", help="detections.json of each model")
    add(
        "--points",
        type=Path,
        nargs="+",
        metavar="POINTS",
        help="operating_points.json of each, in order (its bundle's)",
    )
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="the detections.json to write")
    add_fusion_options(parser, default="wbf")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fuses, writes, prints what was fused; 1 if images had failed in a member."""
    refuse_overwriting(args.output, args.points or ())
    from mammo_monai.inference import fuse_files
    from mammo_monai.schema import DetectionsFile

    if args.points and len(args.points) != len(args.detections):
        raise ValueError(
            f"--points: expected one file for each of {len(args.detections)} models, got {len(args.points)}."
        )
    points = args.points or [None if args.uncalibrated else _of_bundle(each) for each in args.detections]
    rule, is_calibrated = fusion_rule(args), not args.uncalibrated
    written = fuse_files(args.detections, args.output, rule, points=points, is_calibrated=is_calibrated)
    told = fused_text(DetectionsFile((), written.model))
    print(f"{args.output}: {counted(written.n_images, 'image')}, {told}, {written.n_failed} failed")
    return 1 if written.n_failed else 0


def _of_bundle(detections: Path) -> Path | None:
    """The operating points of the bundle that made the detections; None where it is not here or has none."""
    from mammo_monai.bundle import find_bundle
    from mammo_monai.errors import BundleError
    from mammo_monai.schema import read_model

    try:
        points = find_bundle(str(read_model(detections).get("bundle"))) / "models"
    except BundleError:
        return None
    return points / "operating_points.json" if (points / "operating_points.json").is_file() else None
