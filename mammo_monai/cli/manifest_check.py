"""`mammo-monai manifest check`: are the images of a manifest still there, whole, the same, and apart?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.manifest_place import manifest_file
from mammo_monai.words import counted


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "check",
        help="audit a manifest again",
        description="Lays every record beside its file and the lists beside each other; changes neither. "
        "Exit code 0: all is well, 1: something is odd, 2: the manifest cannot be used as it stands.",
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="manifest.json, or its folder")
    parser.add_argument("--pictures", action="store_true", help="decode every image too and look at it")
    parser.add_argument("--folds", type=Path, metavar="FILE", help="check a folds file against it too")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Prints the findings by code; they stand in audit.csv as rows of "NAME check"."""
    from collections import Counter

    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.readers import Audit, checking, splits
    from mammo_monai.schema import read_manifest
    from mammo_monai.schema.folds import read_folds

    manifest = read_manifest(manifest_file(args.manifest))
    if args.folds:
        splits.check_folds(read_folds(args.folds), [manifest])
    audit, salt = Audit(), checking.salt_of(manifest)
    with counting_bar("checking") as on_progress:
        options = {"pixels": args.pictures, "workers": args.workers, "on_progress": on_progress}
        checking.check_manifest(manifest, salt=salt, audit=audit, **options)
    table = checking.save_check(manifest, audit.findings)
    for code, count in Counter(finding.code for finding in audit.findings).items():
        fatal = " (the manifest cannot be used as it stands)" if code in checking.FATAL_CODES else ""
        print(f"{code}: {count}{fatal}")
    images, findings = counted(len(manifest.images()), "image"), counted(len(audit.findings), "finding")
    print(f"{images} checked, {findings}; see {table}")
    return checking.exit_code(audit.findings)
