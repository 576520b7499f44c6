"""`mammo-monai folds make|apply|show`: folds of one or more manifests, in a file of their own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.manifest_place import manifest_file

SCHEMES = ("kfold", "half", "s1", "s2", "s3", "s4", "s5", "s6", "s7")
FRACTION = "of all patients; half: of the training half (default: kfold and half 0.2, s1 to s7 none)"


def add_parser(subparsers: Any) -> None:
    """Adds the verb with its three actions."""
    verb = subparsers.add_parser("folds", help="deal patients into folds; write the manifest of one fold")
    actions = verb.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = actions.add_parser("make", help="deal the patients of manifests A, B, C into folds")
    apply = actions.add_parser("apply", help="write the manifest of one fold")
    show = actions.add_parser("show", help="count what folds hold; masses and patients with the manifests")
    make.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST", help="one per data set: A, B, C")
    make.add_argument(
        "--scheme",
        choices=SCHEMES,
        default="kfold",
        help="k folds, halves, or the transfer setups s1 to s7 of Jung et al. 2018 (%(default)s)",
    )
    make.add_argument("--folds", type=int, default=5, metavar="K", help="how many (%(default)s)")
    keep = "leave the test lists of the manifests out of all folds, for a last word"
    make.add_argument("--keep-test", action="store_true", help=keep)
    make.add_argument("--validation-fraction", type=float, metavar="F", help=FRACTION)
    make.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another one deals the patients anew (%(default)s)"
    )
    show.add_argument("folds", type=Path, metavar="FOLDS", help="folds.json")
    show.add_argument("manifests", type=Path, nargs="*", metavar="MANIFEST", help="those it was made of")
    apply.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST", help="those it was made of")
    apply.add_argument("--folds", type=Path, required=True, metavar="FOLDS", help="folds.json")
    apply.add_argument("--fold", required=True, metavar="NAME", help="1, 2, …")
    apply.add_argument("--stage", metavar="NAME", help="such as pretraining-b (default: the last)")
    for parser in (make, apply):
        parser.add_argument(
            "-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write"
        )
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes folds, or the manifest of one; prints what the lists hold."""
    from mammo_monai.readers import splits
    from mammo_monai.schema import read_manifest, write_manifest
    from mammo_monai.schema.folds import read_folds

    manifests = [read_manifest(manifest_file(path)) for path in args.manifests]
    only: dict[str, str] = {}
    if args.action != "show":
        splits.reject_overwriting(args.output, manifests, args.folds if args.action == "apply" else None)
    if args.action == "make":
        scheme = splits.fold_scheme(
            args.scheme, args.folds, args.validation_fraction, keeps_test=args.keep_test
        )
        made = splits.make_folds(manifests, scheme, seed=args.seed)
        splits.save_folds(args.output, made, manifests)
    else:
        made = read_folds(args.folds)
    if args.action == "apply":
        manifest = splits.apply_folds(made, manifests, fold=args.fold, stage=args.stage)
        write_manifest(args.output, manifest)
        only = {name: manifest.about["folds"][name] for name in ("fold", "stage")}
    print(splits.fold_table(made, manifests, **only))
    print(f"SHA-256 {made.sha256}, made by: {made.command}")
    if args.action != "show":
        print(f"wrote {args.output}")
    return 0
