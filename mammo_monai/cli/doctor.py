"""`mammo-monai doctor`: what is wrong with this installation, why it matters, and what mends it."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from mammo_monai import __version__

# `doctor.KINDS` and `TIMEOUT_S` know them too; a test keeps both equal.
KINDS = ("environment", "gpu", "decoders", "weights", "disk", "machine", "extras", "clinic")
TIMEOUT_S = 60.0


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="what is wrong with this installation, and the command that mends it",
        description="Looks at Python and its packages, GPU, decoders, weights, disks, memory, cores, and at "
        "a node's peers, ports and certificates. Each finding says what was found, why it matters, and the "
        "command that mends it. It changes nothing, reads no film, and calls nobody but the peers of --node. "
        "It runs where torch is broken, too. Exit code: 0 all is well, 1 warnings, 2 faults.",
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=KINDS, metavar="KIND", help=f"some of {', '.join(KINDS)} (all)")
    add(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where results will go (%(default)s, this folder)",
    )
    add("--node", type=Path, metavar="NODE.JSON", help="a node's configuration; asks its peers by C-ECHO")
    add("--timeout", type=float, default=TIMEOUT_S, metavar="SECONDS", help="for each part (%(default)g)")
    add(
        "--notes",
        action="store_true",
        help="say more on what is well: what is missing for more, and how to get it",
    )
    add("--json", action="store_true", help="as JSON for an issue: without paths, hosts and AE titles")
    add("--show-paths", action="store_true", help="leave them in --json")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the findings; 1 if there are warnings, 2 if there are faults."""
    from mammo_monai.cli.doctor_lines import finding_lines
    from mammo_monai.doctor import Asked, Level, at_home, examine, for_others, worst

    if args.only and "clinic" in args.only and args.node is None:
        raise ValueError("--only clinic looks at a node: name its configuration with --node NODE.JSON.")
    node = None if args.node is None else str(args.node)
    found = examine(Asked(tuple(args.only or KINDS), str(args.output), node, args.timeout))
    if args.json:
        shown = found if args.show_paths else [for_others(each) for each in found]
        about = {"mammo_monai": __version__, "python": platform.python_version(), "level": worst(found).value}
        content = {**about, "findings": [each.as_json() for each in shown]}
        _say(json.dumps(content, indent=1))
    else:
        _say("\n".join(finding_lines([at_home(each) for each in found], has_notes=args.notes)))
    return list(Level).index(worst(found))


def _say(text: str) -> None:
    """Prints a text; letters that the terminal's encoding has not become question marks."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    print(text)
