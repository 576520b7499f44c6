"""`mammo-monai completion SHELL`: prints or installs what completes verbs, options, files and bundles."""

from __future__ import annotations

import argparse
from typing import Any

SHELLS = ("bash", "zsh", "tcsh", "fish")


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "completion",
        help="let the shell complete verbs, options, files and bundles",
        description="Prints a script for the shell that completes verbs, options, their choices, files, "
        "folders and names of bundles. --install puts it where the shell looks, asks nothing, and says "
        "where. Print or install it again after an update.",
    )
    add = parser.add_argument
    add("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    add("--install", action="store_true", help="write it to a file of your own instead of printing it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the script, or where it is now and what is left to do."""
    from mammo_monai.cli.completion_scripts import completion_script, install

    if not args.install:
        print(completion_script(args.shell))
        return 0
    done = install(args.shell)
    print(f"wrote {done.path}")
    print(done.next_step)
    return 0
