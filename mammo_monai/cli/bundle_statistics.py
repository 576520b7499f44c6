"""`mammo-monai bundle statistics`: what the images a bundle was trained on look like, for its warnings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.cli.trust_option import add_trust_option


def add_commands(verbs: Any) -> None:
    """Adds the command."""
    text = "note what the training images look like, so that predict can warn of others"
    parser = verbs.add_parser("statistics", help=text)
    add = parser.add_argument
    add("bundle", metavar="NAME|DIR", help="the bundle that was trained")
    add("--manifest", required=True, type=Path, metavar="FILE", help="the images it was trained on")
    add("--split", choices=("training", "validation", "test"), default="training", help="its list (training)")
    add(
        "--false-alarm-rate",
        type=float,
        default=0.01,
        metavar="R",
        help="share of such images that are warned of (%(default)s)",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the file to write (models/training_statistics.json of the bundle)",
    )
    add_trust_option(parser)
    parser.set_defaults(run=run_statistics, overrides=[])


def run_statistics(args: argparse.Namespace) -> int:
    """Prints what was written."""
    refuse_overwriting(args.output, (args.manifest,))
    from mammo_monai.bundle import (
        bundle_parts,
        find_bundle,
        parse_overrides,
        path_value,
        refuse_to_write_into_installed,
    )
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.files import sha256_of
    from mammo_monai.inference.training_look import STATISTICS, training_statistics
    from mammo_monai.schema.training_statistics import write_training_statistics
    from mammo_monai.words import counted

    if args.output is None:
        refuse_to_write_into_installed(args.bundle, "-o training_statistics.json")
    named = {"input": path_value(args.manifest), "split": args.split}
    given = named | dict(parse_overrides(args.overrides))
    parts = bundle_parts(args.bundle, ("dataset", "model", "recipe"), given, is_trusted=args.trust)
    with counting_bar("statistics") as show:
        found = training_statistics(
            parts["dataset"],
            model={**parts["model"], "recipe": parts.get("recipe", {})},
            manifest_sha256=sha256_of(args.manifest),
            false_alarm_rate=args.false_alarm_rate,
            on_progress=show,
        )
    output = args.output or find_bundle(args.bundle) / STATISTICS
    write_training_statistics(output, found)
    print(
        f"{output}: {len(found.names)} statistics of {counted(found.n_images, 'image')} of "
        f"{counted(found.n_patients, 'patient')}; "
        f"{found.false_alarm_rate:.1%} of such images lie beyond {found.limit:.2f}"
    )
    return 0
