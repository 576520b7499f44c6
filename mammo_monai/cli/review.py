"""`mammo-monai review`: a page on this machine where a reader decides on marks, corrects and draws them."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mammo_monai.words import counted

PORT = 8477


def add_parser(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser(
        "review",
        help="look at marks in a browser; accept, reject, correct and draw",
        description="Serves a page on this machine alone: images with their marks, a score slider, verdicts, "
        "boxes drawn by hand. Every change is saved at once; Export writes COCO JSON, detections.json and "
        "DICOM reports. The detections are never changed. Ctrl+C stops it.",
    )
    add = parser.add_argument
    add("source", type=Path, metavar="DETECTIONS|DIR", help="detections.json, its folder, or unmarked images")
    add(
        "--manifest",
        type=Path,
        metavar="MANIFEST",
        help="tells side, view and patient; lists the images of a folder",
    )
    add("--out", type=Path, metavar="DIR", help="where reviews and exports go (default: beside the source)")
    add("--threshold", type=float, metavar="SCORE", help="where the slider starts (default: operating point)")
    add("--port", type=int, default=PORT, metavar="N", help="0 takes any that is free (default %(default)s)")
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="another address lets other machines in, unencrypted (%(default)s)",
    )
    add("--show-patients", action="store_true", help="patient ids on the page instead of numbers")
    add("--export", action="store_true", help="write the exports of what is reviewed, and serve no page")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl+C, or exports; 1 if a report could not be made."""
    from mammo_monai.service.review import Guard, ReviewServer, open_review, read_worklist

    worklist = read_worklist(args.source, manifest=args.manifest)
    source = worklist.source
    folder = args.out or source.with_name(f"{source.stem}_review")
    with open_review(
        worklist, folder, threshold=args.threshold, shows_patients=args.show_patients
    ) as session:
        if args.export:
            done = session.export()
            print(f"wrote {', '.join(done['files']) or 'nothing'} to {folder}")
            left = f"{done['n_left_out']} not reviewed"
            boxes, images = counted(done["n_boxes"], "box"), counted(done["n_images"], "reviewed image")
            print(f"{boxes} of {images}, {left}")
            for problem in done["problems"]:
                print(problem, file=sys.stderr)
            return int(bool(done["problems"]))
        server = ReviewServer(session, port=args.port, guard=Guard(host=args.host))
        print(f"{counted(len(worklist.images), 'image')}; reviews are saved in {folder}. Stop with Ctrl+C.")
        print(f"open {server.address}", flush=True)
        with server, suppress(KeyboardInterrupt):  # Ctrl+C is how a reader ends the work
            server.serve_forever()
    return 0
