"""`mammo-monai predict`: runs the inference of a bundle on images, with MONAI's overrides passed through."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.cluster_options import add_cluster_options, is_for_cluster, predict_on_cluster
from mammo_monai.cli.fusion_options import add_fusion_options
from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.cli.trust_option import add_trust_option


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "predict",
        help="mark masses on images, write detections.json",
        description="Takes DICOM, PNG or JPEG images and writes the marks of a bundle's network: boxes in "
        "pixels of the original image, each with a score. A run that was stopped goes on where it was. Other "
        "ids of the bundle's inference.json are overridden by `--id value`, given last, e.g. "
        "--inferer#batch_size 8; those of one of several bundles by `--NAME:id value`.",
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE|DIR|MANIFEST", help="images, folders, or one manifest.json")
    bundle = "a bundle's folder or name; again for an ensemble, then with =WEIGHTS if not its own"
    add("--bundle", required=True, action="append", metavar="NAME|DIR", help=bundle)
    written = "detections.json to write; NAME.jsonl or NAME.parquet for archives"
    add("-o", "--output", type=Path, required=True, metavar="FILE", help=written)
    add("--split", choices=("training", "validation", "test"), help="one list of the manifest (all)")
    add(
        "--fppi",
        type=float,
        metavar="N",
        help="keep what the bundle's operating point for N false positives per image keeps (all marks)",
    )
    add("--overlays", type=Path, metavar="DIR", help="draw each image with its five best marks")
    add("--maps", type=Path, metavar="DIR", help="draw a patch classifier's mass probability maps")
    add_trust_option(parser)
    _add_run_options(parser)
    add_fusion_options(parser, default=None)
    add_cluster_options(parser)
    parser.set_defaults(run=run, overrides=[])


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how it is computed").add_argument
    modes = ("full", "sections", "single_pass", "sliding", "dense")  # dense: of patch classifiers
    shown = "how an image is shown to the network: whole, whole and in 25 sections, in windows (the bundle's)"
    add("--mode", choices=modes, help=shown)
    add("--engine", choices=("torch", "compile", "onnx", "openvino"), help="what computes (torch)")
    add("--weights", type=Path, metavar="FILE", help="another weights file than the bundle's own")
    add("--device", metavar="DEVICE", help="cpu, cuda:0 … (a GPU if there is one)")
    add("--workers", type=int, metavar="N", help="threads that load images ahead (1)")
    add("--on-error", choices=("stop", "skip"), help="at an image that fails (skip; stop at a single one)")
    add("--accept", action="append", metavar="CODE", help="mark images refused for this: implant, specimen …")


def run(args: argparse.Namespace) -> int:
    """Predicts; prints what was marked; 1 if images failed and were skipped, 2 if all did."""
    refuse_overwriting(args.output, (*args.images, args.weights))
    from mammo_monai.bundle import path_value
    from mammo_monai.cli.predict_ensemble import predict_ensemble
    from mammo_monai.cli.predict_one import predict_one
    from mammo_monai.cli.predict_outcome import show_outcome

    images = [each if each.startswith("phantoms:") else path_value(each) for each in args.images]
    written = None
    if is_for_cluster(args):
        predict_on_cluster(args, images)
    elif len(args.bundle) > 1:
        predict_ensemble(args, images)
    else:
        written = predict_one(args, images)
    return show_outcome(args, images, written)
