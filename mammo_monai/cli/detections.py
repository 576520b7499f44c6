"""`mammo-monai detections`: brings what another toolkit marked into detections.json."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.manifest_layouts import LISTS, add_class_options
from mammo_monai.cli.manifest_place import manifest_file
from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.words import counted

_FORMATS = {
    "coco": ("FILE", "COCO results: Detectron2, MMDetection (.bbox.json), Ultralytics (predictions.json)"),
    "csv": ("FILE", "a table with image, box and score"),
    "yolo": ("DIR", "YOLO's text files, with confidence (save_txt, save_conf)"),
}


def add_parser(subparsers: Any) -> None:
    """Adds the verb with one command per format."""
    verb = subparsers.add_parser("detections", help="bring what another toolkit marked into detections.json")
    commands = verb.add_subparsers(dest="format", metavar="FORMAT", required=True)
    for name, (source, text) in _FORMATS.items():
        add = commands.add_parser(name, help=text).add_argument
        add("source", type=Path, metavar=source, help=text)
        add("--manifest", type=Path, required=True, metavar="MANIFEST", help="of the images that were marked")
        add("-o", "--output", type=Path, required=True, metavar="DETECTIONS", help="detections.json to write")
        add("--split", choices=LISTS, help="the list that was marked (default: all)")
        if name == "coco":
            add(
                "--annotations",
                type=Path,
                metavar="FILE",
                help="the COCO file of the images that were marked",
            )
        if name != "yolo":
            size = "every image was stretched to W × H pixels before it was marked; the boxes are of those"
            add("--marked-size", type=_side, nargs=2, metavar=("W", "H"), help=size)
        add_class_options(add, "the model's")
        add("--ignore-unknown", action="store_true", help="leave out marks of images not in the manifest")
        add("--name", metavar="NAME", help="of the model, for reports (default: the source's name)")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the detections; prints what they hold, what was done to them, and the next command."""
    from mammo_monai.cli.detections_lines import lines_of
    from mammo_monai.readers.foreign_detections import ForeignSource, foreign_detections
    from mammo_monai.schema import write_detections

    manifest, given = manifest_file(args.manifest), vars(args)
    refuse_overwriting(args.output, (args.source, given.get("annotations"), manifest))
    size = given.get("marked_size")
    source = ForeignSource(
        format=args.format,
        path=args.source,
        annotations=given.get("annotations"),
        category=args.category,
        classes=dict(args.classes),
        marked_size=(size[0], size[1]) if size else None,
        ignore_unknown=args.ignore_unknown,
        name=args.name,
    )
    made = foreign_detections(source, manifest, args.split)
    write_detections(args.output, made.detections, made.model)
    n_images = counted(len(made.detections), "image")
    print(f"{args.output}: {n_images}, {counted(made.n_marks, 'mark')}, {made.n_masses} of them masses")
    print(*lines_of(made, manifest, args.output, args.split), sep="\n")
    return 0


def _side(text: str) -> float:
    try:
        side = int(text)
    except ValueError:
        side = 0
    if side < 1:
        raise argparse.ArgumentTypeError(f"expected pixels, a whole number of at least 1, got {text!r}")
    return float(side)
