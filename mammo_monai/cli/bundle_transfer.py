"""`mammo-monai bundle push|pull`: packs to and from folders, web servers and hub repositories."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_commands(verbs: Any) -> None:
    """Adds the two commands."""
    push = verbs.add_parser("push", help="put a pack where another site can get it")
    push.add_argument("bundle", metavar="NAME|DIR|FILE.zip", help="a bundle, or a pack of one")
    push.add_argument(
        "destination", metavar="DEST", help="a folder, https://…, or hf://OWNER/NAME[@REVISION]"
    )
    push.add_argument("--replace", action="store_true", help="put it in the place of another pack")
    push.set_defaults(run=run_push)
    pull = verbs.add_parser("pull", help="get a pack, check it, list what it would run, then put it in place")
    pull.add_argument(
        "source", metavar="SRC", help="a zip or folder, https://…[#sha256=HEX], or hf://OWNER/NAME"
    )
    text = "where bundles lie (bundles)"
    pull.add_argument("-o", "--output", type=Path, default=Path("bundles"), metavar="DIR", help=text)
    pull.add_argument("--sha256", metavar="HEX", help="of the zip (of pack.json on the hub), from its sender")
    pull.add_argument("--trust", action="store_true", help="take it though it would run what is not known")
    pull.add_argument(
        "--require-signature", action="store_true", help="take it only if a publisher you trust has signed it"
    )
    pull.add_argument("--older", action="store_true", help="take an older version than is there")
    pull.add_argument("--replace", action="store_true", help="move a bundle of this name aside")
    pull.add_argument(
        "--limit-gb", type=float, default=4.0, metavar="N", help="gigabytes taken at most (%(default)g)"
    )
    pull.set_defaults(run=run_pull)
    for each in (push, pull):
        each.add_argument("--allow-http", action="store_true", help="take plain http beyond this machine")


def run_push(args: argparse.Namespace) -> int:
    """Prints where the pack is, and its hash."""
    from mammo_monai.bundle import HttpOptions, push_bundle

    http = HttpOptions(is_http_allowed=args.allow_http)
    made = push_bundle(args.bundle, args.destination, is_replacing=args.replace, http=http)
    print(f"{made.place}: {'was there already' if made.was_there else 'written'}\nSHA-256 {made.sha256}")
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Prints what it would run where that is unknown, and the bundle's folder."""
    from mammo_monai.bundle import HttpOptions, PullOptions, UntrustedBundleError, pull_bundle
    from mammo_monai.cli.bundle_lines import outside_lines, pulled_lines
    from mammo_monai.cli.progress_bar import counting_bar

    http = HttpOptions(is_http_allowed=args.allow_http, limit_bytes=int(args.limit_gb * 1e9))
    with counting_bar("fetching", "byte") as show:
        how = {"is_signed": args.require_signature, "is_older_allowed": args.older}
        options = PullOptions(args.sha256, args.trust, args.replace, http, show, **how)
        try:
            made = pull_bundle(args.source, args.output, options)
        except UntrustedBundleError as error:
            print("\n".join(outside_lines(error.inspection)), file=sys.stderr)
            raise
    print("\n".join(pulled_lines(made)))
    return 0
