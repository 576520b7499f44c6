"""`mammo-monai predict`: runs the inference of a bundle on images, with MONAI's overrides passed through."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "predict",
        help="mark masses on images, write detections.json",
        description="A run that was stopped goes on where it was. Other ids of the bundle's inference.json "
        "are overridden by `--id value`, given last, e.g. --inferer#batch_size 8.",
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE|DIR|MANIFEST", help="images, folders, or one manifest.json")
    add("--bundle", required=True, metavar="NAME|DIR", help="a bundle's folder or name")
    add("-o", "--output", type=Path, required=True, help="the detections.json to write")
    add("--mode", choices=("full", "sections", "sliding"), help="how an image is shown to the detector")
    add("--split", choices=("training", "validation", "test"), help="one list of the manifest (all)")
    add("--weights", type=Path, help="another weights file than the bundle's own")
    add("--device", help="cpu, cuda:0 … (a GPU if there is one)")
    add("--fppi", type=float, metavar="N", help="show what the bundle's operating point for N shows")
    add("--on-error", choices=("stop", "skip"), help="at an image that fails (stop)")
    add("--overlays", type=Path, metavar="DIR", help="draw each image with its five best marks")
    parser.set_defaults(run=run, overrides=[])


def run(args: argparse.Namespace) -> int:
    """Predicts; prints what was marked; 1 if images failed and were skipped."""
    from mammo_monai.bundle import find_bundle, parse_overrides, path_value, run_bundle
    from mammo_monai.cli.progress_bar import image_bar
    from mammo_monai.inference.operating_point import shown_at
    from mammo_monai.schema import read_detections, read_manifest

    images = [each if each.startswith("phantoms:") else path_value(each) for each in args.images]
    point = None if args.fppi is None else shown_at(find_bundle(args.bundle), args.fppi)
    named = {
        "input": images[0] if len(images) == 1 else images,
        "output": path_value(args.output),
        "weights": path_value(args.weights) if args.weights else None,
        **{name: getattr(args, name) for name in ("mode", "split", "device", "on_error")},
        "evaluator#on_progress": image_bar(),
        "evaluator#operating_point": point,
    }
    overrides = {key: value for key, value in named.items() if value is not None}
    run_bundle(args.bundle, "inference", "run", overrides | parse_overrides(args.overrides))
    content = read_detections(args.output)
    if args.overlays:
        from mammo_monai.inference.overlays import save_overlays

        records = read_manifest(Path(images[0])).images() if images[0].endswith(".json") else ()
        save_overlays(content.detections, args.overlays, records=records)
    failed = content.model.get("failed", [])
    n_marks = sum(len(each.boxes) for each in content.detections)
    print(f"{args.output}: {len(content.detections)} images, {n_marks} marks, {len(failed)} images failed")
    return 1 if failed else 0
