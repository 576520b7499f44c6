"""`mammo-monai report`: one HTML page on scored runs."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "report",
        help="write one HTML page on scored runs",
        description="Writes one self-contained page: FROC plot, operating points with intervals, images with "
        "truth and detections. Detections are read from detections.json beside each metrics.json.",
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="metrics.json, or a folder that holds it"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="HTML", help="the page to write")
    parser.add_argument("--manifest", type=Path, metavar="M", help="manifest.json, for the pictures")
    parser.add_argument("--title", help="heading of the page")
    parser.add_argument("--banner", default="", help="a sentence on top, e.g. where the images come from")
    parser.add_argument(
        "--name", action="append", metavar="NAME", help="a run's name; once per run, in order"
    )
    parser.add_argument("--published", action="store_true", help="list published figures, with their caveat")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Reads the runs, writes the page, prints the headline of each."""
    from mammo_monai.reports import ReportOptions, read_run, write_report
    from mammo_monai.reports.tables import headline
    from mammo_monai.schema import read_manifest

    names = args.name or [None] * len(args.runs)
    if len(names) != len(args.runs):
        raise ValueError(f"--name must be given once per run: {len(args.runs)} runs, {len(names)} names.")
    runs = [read_run(path, name=name) for path, name in zip(args.runs, names, strict=True)]
    title = args.title or ReportOptions.title
    options = ReportOptions(title, args.banner, _command(args), has_published=args.published)
    manifest = read_manifest(args.manifest) if args.manifest else None
    write_report(args.output, runs, manifest=manifest, options=options)
    for each in runs:
        print(f"{each.name}: {headline(each)}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command without folders: a page may be passed on, paths may name people."""
    words = ["mammo-monai", "report", *(path.name for path in args.runs), "-o", args.output.name]
    words += ["--manifest", args.manifest.name] if args.manifest else []
    words += [word for name in args.name or () for word in ("--name", name)]
    words += ["--published"] if args.published else []
    return shlex.join(words)
