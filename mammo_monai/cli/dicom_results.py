"""`mammo-monai dicom sr|cad|gsps|sc|seg`: the marks of a detections.json as DICOM objects."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mammo_monai.words import counted

# `dicom.results` knows them too; importing it would make `--help` wait. A test keeps both equal.
KINDS = {
    "sr": "a Comprehensive SR (TID 1500) per image: box, certainty, site, view",
    "cad": "a Mammography CAD SR (TID 4000) per study, which mammography workstations read",
    "gsps": "a presentation state per image: boxes over the image, which stays as it is",
    "sc": "a Secondary Capture per image: a picture with boxes burned in",
    "seg": "a segmentation per image: a mask per box",
}


def add_result_actions(actions: Any) -> None:
    """Adds one action for each kind of result."""
    sources = "where the images are: a manifest.json or a folder (the paths in DETECTIONS)"
    for kind, text in KINDS.items():
        about = f"Writes {text}. Marks, not for diagnosis."
        add = actions.add_parser(kind, help=text, description=about).add_argument
        add("detections", type=Path, metavar="DETECTIONS.json", help="made by `mammo-monai predict`")
        add(
            "-o",
            "--output",
            type=Path,
            required=True,
            metavar="DIR",
            help=f"folder for <record id>_{kind}.dcm",
        )
        add("--sources", type=Path, metavar="MANIFEST|DIR", help=sources)
        add(
            "--fppi",
            type=float,
            metavar="N",
            help="marks its operating point for N false positives per image keeps",
        )
        add("--min-score", type=float, metavar="S", help="marks of at least this score (all)")
        add("--reviewed", action="store_true", help="a person has edited the marks")
        add("--observer", metavar="NAME", help="who verifies them, as Family^Given; needs --reviewed")
        if kind == "sc":
            add("--full-size", action="store_true", help="as large as the image (longer side 2048)")


def run_results(args: argparse.Namespace) -> int:
    """Writes the results, prints how many; names the images without one, and is then 1."""
    from mammo_monai.cli.dicom_shown import shown_detections
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.dicom.results.secondary_capture import LONGER_SIDE_PX
    from mammo_monai.dicom.results.write_results import WriteOptions, write_results

    content = shown_detections(args)
    size = None if getattr(args, "full_size", False) else LONGER_SIDE_PX
    with counting_bar(args.action) as bar:
        options = WriteOptions(args.sources, args.reviewed, args.observer, size, bar)
        done = write_results(args.action, content, args.output, options)
    for record_id, reason in done.failed.items():
        print(f"no result for {record_id}: {reason}", file=sys.stderr)
    failed = f"{counted(len(done.failed), 'image')} failed"
    print(f"{args.output}: {counted(len(done.files), 'file')}, {counted(done.n_marks, 'mark')}, {failed}")
    return 1 if done.failed else 0
