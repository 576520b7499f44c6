"""`mammo-monai saliency`: which pixels raised a score, as pictures, maps and a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.trust_option import add_trust_option
from mammo_monai.words import counted

METHODS = ("local_gradcam", "gradcam", "gradcam++", "guided_backprop", "occlusion")
ABOUT = (
    "Writes the film with a map of the pixels that raised the score, for the best findings on each image, "
    "the map itself, and index.html. It shows what the network used, not a diagnosis. A stopped run goes on."
)


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("saliency", help="show which pixels raised a score", description=ABOUT)
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE|DIR|MANIFEST", help="images, folders, or one manifest.json")
    add("--bundle", required=True, metavar="NAME|DIR", help="a bundle's folder or name")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the pictures")
    add(
        "--detections",
        type=Path,
        metavar="FILE",
        help="explain the marks of this detections.json (those the bundle finds)",
    )
    add("--split", choices=("training", "validation", "test"), help="one list of the manifest (all)")
    add("--weights", type=Path, metavar="FILE", help="another weights file than the bundle's own")
    add("--device", metavar="DEVICE", help="cpu, cuda:0 … (a GPU if there is one)")
    add_trust_option(parser)
    add = parser.add_argument_group("what is explained, and how").add_argument
    add("--method", choices=METHODS, default=METHODS[0], help="how the map is made (%(default)s)")
    add("--layer", metavar="NAME", help="of the network, for activation maps")
    add(
        "--top",
        type=int,
        default=3,
        metavar="N",
        help="best findings of an image that are explained (%(default)s)",
    )
    add(
        "--min-score",
        type=float,
        default=0.0,
        metavar="S",
        help="findings of at least this score (%(default)s)",
    )
    add(
        "--check", type=int, nargs="?", const=3, default=0, metavar="N", help="sanity check of N findings (3)"
    )
    parser.set_defaults(run=run, overrides=[])


def run(args: argparse.Namespace) -> int:
    """Explains; prints where the page is, and what the check said."""
    from mammo_monai.bundle import bundle_explainer, parse_overrides, path_value
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.inference.saliency import FindingChoice, MethodOptions, save_saliency, verdict
    from mammo_monai.schema import read_detections

    images = [each if each.startswith("phantoms:") else path_value(each) for each in args.images]
    named = {"input": images[0] if len(images) == 1 else images, "split": args.split, "device": args.device}
    named["weights"] = path_value(args.weights) if args.weights else None
    overrides = {key: value for key, value in named.items() if value is not None}
    asked = bundle_explainer(args.bundle, overrides | parse_overrides(args.overrides), is_trusted=args.trust)
    marks = read_detections(args.detections).detections if args.detections else None
    how: dict[str, Any] = {"options": MethodOptions(args.method, layer=args.layer), "model": asked.model}
    how["choice"] = FindingChoice(args.top, args.min_score, args.check)
    how["detections"] = None if marks is None else {each.record_id: each for each in marks}
    with counting_bar("saliency") as bar:
        done = save_saliency(asked.explainer, asked.dataset, args.output, on_progress=bar, **how)
    print(
        f"{done.page or args.output}: {counted(done.n_images, 'image')}, {counted(done.n_maps, 'map')}, "
        f"{done.n_kept} of them kept"
    )
    if done.checks:
        print(verdict(done.checks))
    return 0
