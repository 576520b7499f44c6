"""`mammo-monai dicom marks`: marks of DICOM results back into a detections.json."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.words import counted


def add_marks_action(actions: Any) -> None:
    """Adds the action."""
    add = actions.add_parser(
        "marks", help="read marks of SR, CAD SR or SEG into detections.json"
    ).add_argument
    add("files", type=Path, nargs="+", metavar="FILE", help="results, of one kind and one model")
    add("-o", "--output", type=Path, required=True, metavar="DETECTIONS.json", help="the file to write")
    sources = "images whose record ids and paths to take (ids made of the images' UIDs)"
    add("--sources", type=Path, metavar="MANIFEST|DIR", help=sources)


def run_marks(args: argparse.Namespace) -> int:
    """Reads marks back, prints how many."""
    from mammo_monai.dicom.results.marks_file import marks_as_detections
    from mammo_monai.schema import write_detections

    refuse_overwriting(args.output, (*args.files, args.sources))
    content = marks_as_detections(args.files, sources=args.sources)
    write_detections(args.output, content.detections, content.model)
    n_marks = sum(len(each.boxes) for each in content.detections)
    print(f"{args.output}: {counted(len(content.detections), 'image')}, {counted(n_marks, 'mark')}")
    return 0
