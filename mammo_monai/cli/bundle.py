"""`mammo-monai bundle COMMAND`: which bundles there are, their faults, their weights; and to other sites."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli import (
    bundle_export,
    bundle_hand_over,
    bundle_sign,
    bundle_statistics,
    bundle_transfer,
    bundle_trust,
)
from mammo_monai.cli.trust_option import add_trust_option
from mammo_monai.words import counted


def add_parser(subparsers: Any) -> None:
    """Adds the verb and its commands."""
    verb = subparsers.add_parser("bundle", help="list, check, publish, pack, inspect or pull bundles")
    verbs = verb.add_subparsers(dest="action", metavar="COMMAND", required=True)
    texts = {"list": "bundles and their weights", "check": "faults of bundles"}
    texts["sync"] = "give bundles of one family the wiring of the first one named"
    for name, text in texts.items():
        which = "two or more: the first, then those that follow it" if name == "sync" else "which ones (all)"
        verbs.add_parser(name, help=text).add_argument("bundles", nargs="*", metavar="NAME|DIR", help=which)
    add = verbs.add_parser("publish", help="put trained weights into a bundle, as float16").add_argument
    add("--bundle", required=True, metavar="NAME|DIR", help="whose models/ and metadata.json are written")
    add("--weights", required=True, type=Path, metavar="FILE", help="the model.safetensors of a training")
    add("--operating-points", type=Path, metavar="FILE", help="made by `mammo-monai calibrate`")
    add("--manifest", type=Path, metavar="FILE", help="the training's, to note the folds it was made from")
    add("--version", metavar="N.N.N", help="of the bundle (that of its metadata.json)")
    add("--large", action="store_true", help="allow more than 25 MB")
    add_trust_option(verbs.choices["publish"])
    verb.set_defaults(run=run)
    bundle_export.add_commands(verbs)
    bundle_hand_over.add_commands(verbs)
    bundle_statistics.add_commands(verbs)
    bundle_transfer.add_commands(verbs)
    bundle_trust.add_commands(verbs)
    bundle_sign.add_commands(verbs)


def run(args: argparse.Namespace) -> int:
    """Prints the bundles, their faults, or the files written; 2 if there are faults."""
    return _publish(args) if args.action == "publish" else _all_bundles(args)


def _publish(args: argparse.Namespace) -> int:
    from mammo_monai.bundle import publish_bundle

    options = {name: getattr(args, name) for name in ("operating_points", "manifest", "version")}
    how = {"is_large_allowed": args.large, "is_trusted": args.trust}
    made = publish_bundle(args.bundle, args.weights, **how, **options)
    size = f"{made.n_bytes / 1e6:.1f} MB, {made.n_float32} of {made.n_tensors} tensors in float32"
    print(f"{made.weights}: version {made.version}, {size}\nSHA-256 {made.sha256}")
    return 0


def _all_bundles(args: argparse.Namespace) -> int:
    from mammo_monai.bundle import bundle_names, check_bundle, find_bundle, weights_state
    from mammo_monai.bundle.sync import synchronise_named

    if args.action == "sync":
        lines = [f"rewrote {path}" for path in synchronise_named(args.bundles)]
    else:
        folders = [find_bundle(name) for name in args.bundles or bundle_names()]
        lines = [f"{each.name:40} {weights_state(each):16} {each}" for each in folders]
    if args.action == "check":
        faults = [fault for folder in folders for fault in check_bundle(folder)]
        lines = faults or [f"{counted(len(folders), 'bundle')} without faults"]
    print("".join(f"{line}\n" for line in lines), end="")
    return 2 if args.action == "check" and faults else 0
