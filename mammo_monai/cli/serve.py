"""`mammo-monai serve`: a DICOM node that marks what it is sent, and a look at its queue."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.words import counted


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "serve",
        help="receive mammograms over DICOM, mark them, send results back",
        description="Runs until it is told to stop (SIGTERM, Ctrl-C). status, retry and purge work beside a "
        "running node, too. The configuration: docs/how-to/pacs-node.md.",
    )
    actions = ("run", "status", "retry", "purge")
    add = parser.add_argument
    add("action", nargs="?", choices=actions, default="run", help="run (default), or see to the queue")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", type=Path, metavar="NODE.JSON", help="the node's configuration")
    which.add_argument("--check", type=Path, metavar="NODE.JSON", help="check a configuration, start nothing")
    add("--older-than", type=float, metavar="HOURS", help="purge: what ended so long ago")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does the action; 0 done, 1 where status finds something given up or failed."""
    from mammo_monai.service.node import NodeQueue, read_settings, run_node

    settings = read_settings(args.check or args.config)
    for warning in settings.warnings:
        print(f"note: {warning}.")
    if args.check:
        print(f"{args.check}: sound; kinds {', '.join(settings.kinds)}, bundle {settings.marking.bundle}.")
        return 0
    if (args.older_than is None) != (args.action != "purge"):
        raise ValueError("--older-than HOURS belongs to purge, and purge needs it.")
    if args.action == "run":
        run_node(settings)
        return 0
    with NodeQueue(settings) as queue:
        if args.action == "status":
            print(queue.status())
            return 1 if queue.n_given_up() else 0
        if args.action == "retry":
            images, results = queue.retry()
            print(f"{counted(images, 'image')} to mark again, {counted(results, 'result')} to send again.")
        else:
            print(f"{counted(queue.purge(args.older_than), 'image')} deleted with all results.")
    return 0
