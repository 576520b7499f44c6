"""`mammo-monai normals`: images without lesions made of films that have some, to count false positives on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.words import counted


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "normals",
        help="keep the lesion-free part of each film, to count false positives on",
        description="Keeps of every prepared film with lesions the largest part without any, in its place, "
        "and writes a manifest of images without lesions. Predict and evaluate it like any other: its false "
        "positives per image stand for those on normal breasts where a data set has none.",
    )
    add = parser.add_argument
    add("manifest", metavar="MANIFEST", help="manifest.json of `mammo-monai prepare`, or its folder")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--split", choices=("training", "validation", "test"), help="one list of it (all)")
    add(
        "--min-fraction",
        type=float,
        default=0.4,
        metavar="F",
        help="of the breast that a part must hold (%(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Cuts; prints what is there."""
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.data import manifest_path, write_mass_free_set
    from mammo_monai.schema import read_manifest

    manifest = read_manifest(Path(manifest_path(args.manifest)))
    with counting_bar("blackening") as bar:
        options = {"split": args.split, "min_fraction": args.min_fraction, "on_progress": bar}
        done = write_mass_free_set(manifest, args.out, **options)
    mean = sum(done.fractions) / len(done.fractions)
    print(f"{done.path}: {counted(done.made, 'image')} without lesions, on the mean {mean:.0%} of the breast")
    if done.left_out:
        print(
            f"{counted(len(done.left_out), 'film')} left out: less than {args.min_fraction:g} is free of "
            "lesions"
        )
    return 0
