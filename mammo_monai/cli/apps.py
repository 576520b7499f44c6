"""`mammo-monai apps list|path|copy`: the applications for other platforms, and where they are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the verb and its commands."""
    verb = subparsers.add_parser("apps", help="applications for MONAI Label and MONAI Deploy")
    verb.set_defaults(run=run)
    verbs = verb.add_subparsers(dest="action", metavar="COMMAND", required=True)
    verbs.add_parser("list", help="their names, what they are, their folders")
    path = verbs.add_parser("path", help="the folder of one, for `monailabel start_server --app`")
    path.add_argument("name", metavar="NAME", help="monai-label or monai-deploy")
    copy = verbs.add_parser("copy", help="a copy in a folder of your own, where its server may write")
    copy.add_argument("name", metavar="NAME", help="monai-label or monai-deploy")
    copy.add_argument("target", metavar="DIR", type=Path, help="folder to make; not there yet")
    stock = verbs.add_parser("stock", help="a copy of a bundle that MONAI Label's own monaibundle app serves")
    stock.add_argument("--bundle", required=True, metavar="NAME|DIR", help="one that detects and has weights")
    stock.add_argument(
        "--fppi",
        type=float,
        metavar="N",
        help="show what its operating point for N false positives per image keeps",
    )
    stock.add_argument("target", metavar="DIR", type=Path, help="the app's model folder")


def run(args: argparse.Namespace) -> int:
    """Prints names, or the folder found or made."""
    from mammo_monai.apps import APPS, app_folder, copy_app

    if args.action == "list":
        for name, about in APPS.items():
            print(f"{name:14} {about}\n{'':14} {app_folder(name)}")
    elif args.action == "path":
        print(app_folder(args.name))
    elif args.action == "copy":
        print(copy_app(args.name, args.target))
    else:
        from mammo_monai.apps.stock_bundle import write_stock_bundle

        print(write_stock_bundle(args.bundle, args.target, fppi=args.fppi))
    return 0
