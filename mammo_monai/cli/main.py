"""Entry of the `mammo-monai` command: runs a verb, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from mammo_monai import __version__
from mammo_monai.errors import MammoError
from mammo_monai.files import in_words

VERBS = (
    "phantoms",
    "manifest",
    "show",
    "folds",
    "prepare",
    "normals",
    "train",
    "predict",
    "fuse",
    "saliency",
    "evaluate",
    "patches",
    "calibrate",
    "compare",
    "report",
    "dicom",
    "review",
    "serve",
    "experiment",
    "bundle",
    "weights",
    "apps",
)
DESCRIPTION = (
    "Marks masses in mammograms: DICOM in, boxes with honest figures out. "
    "It marks, it never diagnoses: a research tool, not a medical device."
)
EPILOG = """examples:
  mammo-monai predict film.dcm --bundle cbis_mass_detection --fppi 0.5 -o detections.json --overlays overlays
  mammo-monai phantoms --layout inbreast --patients 20 --seed 1 --out phantoms
  mammo-monai manifest inbreast phantoms -o manifest.json
  mammo-monai train --bundle coco_to_inbreast_mass_retinanet --manifest manifest.json --init none --epochs 5
  mammo-monai predict manifest.json --split test --bundle coco_to_inbreast_mass_retinanet -o detections.json
  mammo-monai evaluate detections.json --manifest manifest.json --split test -o metrics.json
  mammo-monai report metrics.json --manifest manifest.json -o report.html
  mammo-monai dicom sr detections.json -o results
  mammo-monai dicom pull PACS@pacs.example.org:11112 PatientID=4711 -o films
  mammo-monai review detections.json

exit codes: 0 done, 1 done in part (what failed is named), 2 not done (the error says why)."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the command."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with all verbs; imports nothing heavier than argparse."""
    parser = _Parser(
        "mammo-monai",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mammo-monai {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log per image, show tracebacks")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        importlib.import_module(f"mammo_monai.cli.{verb}").add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    Verbs that run a bundle pass what they do not know on to MONAI as overrides (`--id value`).
    """
    parser = build_parser()
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown and not hasattr(parsed, "overrides"):
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if hasattr(parsed, "overrides"):
        parsed.overrides = unknown
    level = logging.DEBUG if parsed.verbose else logging.INFO
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("mammo_monai").setLevel(level)
    try:
        start(arguments, parsed.verb)
        return int(parsed.run(parsed))
    except (MammoError, OSError, ValueError) as error:
        if parsed.verbose:
            raise
        print(f"mammo-monai {parsed.verb}: {in_words(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on from there.", file=sys.stderr)
        return 130


def start(arguments: Sequence[str] | None, verb: str) -> None:
    """What goes before a verb: a process of its own that predicts leaves out what only training needs."""
    if arguments is None and verb == "predict":
        from mammo_monai.cli import lean_start

        lean_start.import_for_prediction()


if __name__ == "__main__":
    sys.exit(main())
