"""`mammo-monai bundle trust`: bundles and publishers the user trusts, once what would run is shown."""

from __future__ import annotations

import argparse
from typing import Any

READ = "read by hand"


def add_commands(verbs: Any) -> None:
    """Adds the command."""
    text = "let a bundle run that does more than is known, as long as its files stay as they are"
    trust = verbs.add_parser("trust", help=text)
    what = trust.add_mutually_exclusive_group(required=True)
    what.add_argument("bundle", nargs="?", metavar="NAME|DIR", help="shown as inspect shows it, then trusted")
    what.add_argument("--publisher", metavar="KEY.pub", help="take packs signed with this key, and no others")
    what.add_argument("--list", action="store_true", help="what is trusted")
    what.add_argument("--remove", metavar="NAME|HASH|KEY", help="trust it no more")
    trust.add_argument(
        "--reason", default=READ, metavar="TEXT", help="why, kept with it; should name nobody (%(default)s)"
    )
    trust.set_defaults(run=run_trust)


def run_trust(args: argparse.Namespace) -> int:
    """Trusts, lists or removes; prints what it did."""
    if args.list:
        return _show()
    if args.remove:
        return _remove(args.remove)
    if args.publisher:
        from mammo_monai.bundle.signing import add_publisher

        print(f"packs must be signed by {add_publisher(args.publisher).id} (or another key on the list)")
        return 0
    from mammo_monai.bundle import find_bundle, trust_bundle
    from mammo_monai.bundle.inspection import inspect_files
    from mammo_monai.bundle.trust import snapshot_of
    from mammo_monai.cli.bundle_lines import outside_lines

    snapshot = snapshot_of(find_bundle(args.bundle))
    print("\n".join(outside_lines(inspect_files(snapshot)) or ["all it would run is on the list anyway"]))
    entry = trust_bundle(snapshot, args.reason)
    print(f"trusted: {entry.bundle}, files {entry.content_sha256}, until one of them changes")
    return 0


def _show() -> int:
    from mammo_monai.bundle import trusted_bundles
    from mammo_monai.bundle.signing import publishers

    there = trusted_bundles()
    lines = [f"{each.bundle:32} {each.content_sha256}  {each.when}  {each.reason}" for each in there]
    lines += [f"publisher {each.id}  {each.line()}" for each in publishers()]
    print("\n".join(lines or ["nothing is trusted but what is known"]))
    return 0


def _remove(name: str) -> int:
    from mammo_monai.bundle import distrust
    from mammo_monai.bundle.signing import publishers, remove_publisher
    from mammo_monai.words import counted

    if any(each.id == name.upper() for each in publishers()):
        print(f"no longer trusted: publisher {remove_publisher(name).id}")
    else:
        print(f"no longer trusted: {name}, {counted(distrust(name), 'time')}")
    return 0
