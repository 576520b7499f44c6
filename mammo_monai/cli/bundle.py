"""`mammo-monai bundle list|check|sync|publish`: which bundles there are, their faults, and their weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the verb and its commands."""
    verb = subparsers.add_parser("bundle", help="list, check, synchronise or publish bundles")
    verb.set_defaults(run=run)
    verbs = verb.add_subparsers(dest="action", metavar="COMMAND", required=True)
    for name, text in (("list", "bundles and their weights"), ("check", "faults of bundles")):
        verbs.add_parser(name, help=text).add_argument("bundles", nargs="*", metavar="NAME|DIR", help="(all)")
    sync = verbs.add_parser("sync", help="give bundles the wiring of the first one named")
    sync.add_argument("bundles", nargs="*", metavar="NAME|DIR", help="FIRST OTHER…, of one family")
    add = verbs.add_parser("publish", help="put trained weights into a bundle, as float16").add_argument
    add("--bundle", required=True, metavar="NAME|DIR", help="whose models/ and metadata.json are written")
    add("--weights", required=True, type=Path, metavar="FILE", help="the model.safetensors of a training")
    add("--operating-points", type=Path, metavar="FILE", help="made by `mammo-monai calibrate`")
    add("--manifest", type=Path, metavar="FILE", help="the training's, to note the folds it was made from")
    add("--version", metavar="N.N.N", help="of the bundle (that of its metadata.json)")
    add("--large", action="store_true", help="allow more than 25 MB")


def run(args: argparse.Namespace) -> int:
    """Prints the bundles, their faults, or the files written; 2 if there are faults."""
    return _publish(args) if args.action == "publish" else _all_bundles(args)


def _publish(args: argparse.Namespace) -> int:
    from mammo_monai.bundle import publish_bundle

    options = {name: getattr(args, name) for name in ("operating_points", "manifest", "version")}
    made = publish_bundle(args.bundle, args.weights, is_large_allowed=args.large, **options)
    float32 = f"{made.n_float32} of {made.n_tensors} tensors in float32"
    print(f"{made.weights}: version {made.version}, {made.n_bytes / 1e6:.1f} MB, {float32}")
    print(f"SHA-256 {made.sha256}")
    return 0


def _all_bundles(args: argparse.Namespace) -> int:
    from mammo_monai.bundle import bundle_names, check_bundle, find_bundle, weights_state
    from mammo_monai.bundle.sync import synchronise_named

    if args.action == "sync":
        for path in synchronise_named(args.bundles):
            print(f"rewrote {path}")
        return 0
    folders = [find_bundle(name) for name in args.bundles or bundle_names()]
    if args.action == "list":
        for folder in folders:
            print(f"{folder.name:40} {weights_state(folder):16} {folder}")
        return 0
    faults = [fault for folder in folders for fault in check_bundle(folder)]
    print("\n".join(faults) if faults else f"{len(folders)} bundles without faults")
    return 2 if faults else 0
