"""`mammo-monai manifest`: reads a data set as downloaded, writes manifest.json and audit.csv."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SPLITS = ("training", "validation", "test")


def add_parser(subparsers: Any) -> None:
    """Adds the verb with one command per layout."""
    verb = subparsers.add_parser("manifest", help="make a manifest of a data set")
    layouts = verb.add_subparsers(dest="layout", metavar="LAYOUT", required=True)
    for layout in ("cbis-ddsm", "inbreast"):
        parser = layouts.add_parser(layout, help=f"the {layout} folder as downloaded, or phantoms of it")
        parser.add_argument("root", type=Path)
        parser.add_argument("--validation-fraction", type=float, default=0.2, help="of the patients")
    coco = layouts.add_parser("coco", help="a COCO JSON and a folder of images")
    coco.add_argument("root", type=Path, metavar="FILE")
    coco.add_argument("--images", type=Path, required=True, metavar="DIR")
    coco.add_argument("--split", choices=SPLITS, help="put all images in this list")
    coco.add_argument(
        "--fractions", type=float, nargs=3, default=(0.6, 0.2, 0.2), metavar=("TRAIN", "VAL", "TEST")
    )
    coco.add_argument("--name-pattern", metavar="REGEX", help="with groups patient, laterality, view")
    coco.add_argument("--category", default="mass", help="the category of masses, label 0 (default: mass)")
    coco.add_argument("--clip-boxes", action="store_true", help="cut boxes at the image border")
    for parser in layouts.choices.values():
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="MANIFEST")
        parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
        parser.add_argument("--skip-invalid", action="store_true", help="leave images with faults out")
        parser.add_argument(
            "--merge-overlapping",
            nargs="?",
            type=_min_iou,
            const=0.0,
            metavar="IOU",
            help="count lesions of an image that overlap by more than IOU as one (any overlap if not given)",
        )
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the manifest, prints what its lists hold; 1 if something was left out."""
    from mammo_monai import readers

    audit = readers.Audit(skip_invalid=args.skip_invalid)
    salt = readers.dataset_salt(args.root, args.output)
    if args.layout == "coco":
        options = readers.CocoOptions(args.name_pattern, args.category, args.clip_boxes)
        records = readers.read_coco(args.root, images=args.images, salt=salt, options=options, audit=audit)
        fractions = {args.split: 1.0} if args.split else dict(zip(SPLITS, args.fractions, strict=True))
        manifest = readers.split_records(records, fractions=fractions, seed=args.seed)
    else:
        fraction = args.validation_fraction
        manifest = readers.read_dataset(
            args.layout, args.root, salt=salt, validation_fraction=fraction, seed=args.seed, audit=audit
        )
    if args.merge_overlapping is not None:
        manifest = readers.merge_overlapping_lesions(manifest, min_iou=args.merge_overlapping, audit=audit)
    readers.save_manifest(args.output, manifest, audit)
    print(f"{'list':<12}{'images':>8}{'normals':>9}{'lesions':>9}{'patients':>10}")
    for row in readers.count_lists(manifest):
        print(f"{row.name:<12}{row.images:>8}{row.normals:>9}{row.lesions:>9}{row.patients:>10}")
    skipped = sum(finding.action is readers.Action.SKIPPED for finding in audit.findings)
    print(f"wrote {args.output}; audit.csv: {len(audit.findings)} findings, {skipped} left out")
    return int(skipped > 0)


def _min_iou(text: str) -> float:
    """Refused before a data set is read, not after; the option may also have swallowed the data set."""
    try:
        min_iou = float(text)
    except ValueError:
        min_iou = -1.0
    if not 0 <= min_iou < 1:
        raise argparse.ArgumentTypeError(
            f"IOU must be at least 0 and below 1, got {text!r}; without IOU, give the option last"
        )
    return min_iou
