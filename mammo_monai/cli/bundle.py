"""`mammo-monai bundle list|check|sync`: which bundles there are, and whether they are sound."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("bundle", help="list, check or synchronise bundles")
    parser.add_argument("action", choices=["list", "check", "sync"])
    parser.add_argument(
        "bundles",
        nargs="*",
        metavar="NAME|DIR",
        help="all known bundles if none is named; sync needs FIRST OTHER…",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the bundles, their faults, or the files rewritten after the first bundle named.

    Raises:
        BundleError: `sync` without the bundle to follow and one that follows it.
    """
    from mammo_monai.bundle import bundle_names, check_bundle, find_bundle
    from mammo_monai.bundle.sync import synchronise
    from mammo_monai.errors import BundleError

    if args.action == "sync" and len(args.bundles) < 2:
        raise BundleError(
            "sync needs at least two bundles, FIRST OTHER…: the others are rewritten after the first; "
            f"got {' '.join(args.bundles) or 'none'}."
        )
    folders: list[Path] = [find_bundle(name) for name in args.bundles or bundle_names()]
    if args.action == "list":
        for folder in folders:
            trained = "trained" if (folder / "models" / "model.safetensors").is_file() else "no weights yet"
            print(f"{folder.name:40} {trained:16} {folder}")
        return 0
    if args.action == "sync":
        for path in synchronise(folders[0], folders[1:]):
            print(f"rewrote {path}")
        return 0
    faults = [fault for folder in folders for fault in check_bundle(folder)]
    print("\n".join(faults) if faults else f"{len(folders)} bundles without faults")
    return 2 if faults else 0
