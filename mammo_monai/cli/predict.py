"""`mammo-monai predict`: runs the inference of a bundle on images, with MONAI's overrides passed through."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.fusion_options import add_fusion_options, fused_text


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "predict",
        help="mark masses on images, write detections.json",
        description="A run that was stopped goes on where it was. Other ids of the bundle's inference.json "
        "are overridden by `--id value`, given last, e.g. --inferer#batch_size 8; those of one of several "
        "bundles by `--NAME:id value`.",
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE|DIR|MANIFEST", help="images, folders, or one manifest.json")
    bundle = "a bundle's folder or name; again for an ensemble, then with =WEIGHTS if not its own"
    add("--bundle", required=True, action="append", metavar="NAME|DIR", help=bundle)
    add("-o", "--output", type=Path, required=True, help="the detections.json to write")
    modes = ("full", "sections", "sliding", "dense")  # dense: of patch classifiers
    add("--mode", choices=modes, help="how an image is shown to the network")
    add("--split", choices=("training", "validation", "test"), help="one list of the manifest (all)")
    add("--weights", type=Path, help="another weights file than the bundle's own")
    add("--device", help="cpu, cuda:0 … (a GPU if there is one)")
    add("--fppi", type=float, metavar="N", help="show what the bundle's operating point for N shows")
    add("--on-error", choices=("stop", "skip"), help="at an image that fails (stop)")
    add("--overlays", type=Path, metavar="DIR", help="draw each image with its five best marks")
    add("--maps", type=Path, metavar="DIR", help="draw a patch classifier's mass probability maps")
    add_fusion_options(parser, default=None)
    parser.set_defaults(run=run, overrides=[])


def run(args: argparse.Namespace) -> int:
    """Predicts; prints what was marked; 1 if images failed and were skipped."""
    from mammo_monai.bundle import path_value
    from mammo_monai.cli.predict_ensemble import predict_ensemble
    from mammo_monai.cli.predict_one import predict_one
    from mammo_monai.schema import read_detections, read_manifest

    images = [each if each.startswith("phantoms:") else path_value(each) for each in args.images]
    is_ensemble = len(args.bundle) > 1
    (predict_ensemble if is_ensemble else predict_one)(args, images)
    content = read_detections(args.output)
    if args.overlays:
        from mammo_monai.inference.overlays import save_overlays

        records = read_manifest(Path(images[0])).images() if images[0].endswith(".json") else ()
        save_overlays(content.detections, args.overlays, records=records)
    failed = content.model.get("failed", [])
    n_marks = sum(len(each.boxes) for each in content.detections)
    fused = f", {fused_text(content)}" if is_ensemble else ""
    n_images = len(content.detections)
    print(f"{args.output}: {n_images} images, {n_marks} marks, {len(failed)} images failed{fused}")
    return 1 if failed else 0
