"""`mammo-monai report`: scored runs and experiments as one page, PDF, CSV or LaTeX."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting

ABOUT = (
    "Takes metrics.json of one or more runs, or the folder of an experiment, and writes one self-contained "
    "file: sensitivity with intervals, FROC curves, published tables, every finding."
)
KINDS = ("digital", "film", "in-house")


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("report", help="write a report on scored runs", description=ABOUT)
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="metrics.json, its folder, or an experiment's")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help=".html, .pdf, .csv or .tex")
    add("--format", choices=("html", "pdf", "csv", "latex"), help="where the suffix does not tell")
    add("--manifest", type=Path, metavar="MANIFEST", help="manifest.json, for the pictures and the data")
    add = parser.add_argument_group("what the page shows").add_argument
    add("--per-gallery", type=int, metavar="N", help="most crops in a gallery (all, to a stated ceiling)")
    add(
        "--fppi",
        type=float,
        default=1.0,
        metavar="N",
        help="false positives per image of headlines and galleries (%(default)s)",
    )
    add("--title", metavar="TEXT", help="heading of the report")
    add("--banner", default="", metavar="TEXT", help="a sentence on top, e.g. where the images come from")
    add("--name", action="append", metavar="NAME", help="a run's name; once per run, in order")
    add("--published", action="store_true", help="published figures besides, with their caveat")
    add("--saliency", type=Path, metavar="DIR", help="maps made by `saliency`, shown beside the findings")
    add("--images", choices=KINDS, help="kind of the images, for published points in plots (as the runs say)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Reads the runs, writes the report, prints the headline of each."""
    from mammo_monai.experiments.report_runs import read_runs
    from mammo_monai.reports import ReportOptions, formats
    from mammo_monai.reports.tables.run_tables import headline
    from mammo_monai.schema import read_manifest

    formats.format_of(args.output, args.format)  # before minutes of work
    folders = [run if run.is_dir() else run.parent for run in args.runs]
    read = [folder / name for folder in folders for name in ("metrics.json", "detections.json")]
    refuse_overwriting(args.output, (*args.runs, *read, args.manifest))
    runs = read_runs(args.runs, names=args.name)
    texts = (args.title or ReportOptions.title, args.banner, _command(args), args.fppi, args.per_gallery)
    options = ReportOptions(*texts, args.published, args.images, args.saliency)
    truth = read_manifest(args.manifest) if args.manifest else None
    formats.write_report_as(args.output, runs, name=args.format, manifest=truth, options=options)
    print("\n".join(f"{each.name}: {headline(each, fppi=args.fppi)}" for each in runs))
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command without folders: a report may be passed on, paths may name people."""
    words = ["mammo-monai", "report", *(path.absolute().name for path in args.runs), "-o", args.output.name]
    for name in ("manifest", "saliency"):
        words += [f"--{name}", getattr(args, name).name] if getattr(args, name) else []
    words += [word for name in args.name or () for word in ("--name", name)]
    for option in ("images", "title", "banner", "format"):
        words += [f"--{option}", getattr(args, option)] if getattr(args, option) else []
    words += ["--fppi", f"{args.fppi:g}"] if args.fppi != 1 else []
    words += ["--per-gallery", str(args.per_gallery)] if args.per_gallery is not None else []
    return shlex.join([*words, "--published"] if args.published else words)
