"""`mammo-monai dicom deidentify`: copies of DICOM files that name nobody, by PS3.15's Basic Profile."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mammo_monai.words import counted

# `dicom.deidentification` knows them too; importing it would make `--help` wait. A test keeps both equal.
KEEP = ("longitudinal-dates",)


def add_deidentify_action(actions: Any) -> None:
    """Adds the action."""
    about = (
        "Writes DIR/<pseudonym>/<modality>_<hash>.dcm for each file. The same salt gives the same names and "
        "UIDs again, so that images, reports and later exports fit together. Files that seem to have text in "
        "their picture are refused."
    )
    action = actions.add_parser(
        "deidentify", help="copies without patient data (PS3.15 Basic)", description=about
    )
    add = action.add_argument
    add("sources", type=Path, nargs="+", metavar="FILE|DIR", help="DICOM images, reports, segmentations")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the copies")
    salt = "the secret of pseudonyms, made if it is not there (DIR.salt); never hand it over"
    add("--salt", type=Path, metavar="FILE.salt", help=salt)
    kept = "longitudinal-dates: dates moved by days of the patient's own instead of removed"
    add("--keep", action="append", default=[], choices=KEEP, help=kept)
    add("--allow-burned-in", action="store_true", help="copy pictures with text: somebody has looked at them")


def run_deidentify(args: argparse.Namespace) -> int:
    """Writes the copies, prints how many; names the files without one, and is then 1."""
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.dicom.deidentification import Pseudonyms, deidentify_files
    from mammo_monai.dicom.deidentification.files import DeidentifyOptions
    from mammo_monai.readers.burned_in import burned_in_reason
    from mammo_monai.readers.salt import salt_beside

    salt = args.salt or args.output.with_name(f"{args.output.resolve().name}.salt")
    names = Pseudonyms(salt_beside(salt))
    with counting_bar("deidentify") as bar:
        show = bar or (lambda _done, _total: None)
        options = DeidentifyOptions(tuple(args.keep), burned_in_reason, args.allow_burned_in, show)
        done = deidentify_files(args.sources, args.output, names, options)
    for reason in done.refused.values():
        print(f"not copied: {reason}", file=sys.stderr)
    print(f"{args.output}: {counted(len(done.files), 'file')}, {len(done.refused)} refused")
    return 1 if done.refused else 0
