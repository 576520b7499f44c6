"""Entry of the `mammo-monai` command: runs a verb, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from mammo_monai import __version__
from mammo_monai.cli.descriptions import DESCRIPTIONS
from mammo_monai.cli.examples import examples_text
from mammo_monai.cli.parser import Parser, misspelt, parser_of, unknown_text, walk
from mammo_monai.cli.standard_output import delivered, left, stand_in_for_closed, take_every_letter
from mammo_monai.cli.user_name import name_the_nameless
from mammo_monai.errors import BundleError, MammoError
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
    "detections",
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
    "doctor",
    "completion",
)
DESCRIPTION = (
    "Marks masses in mammograms: DICOM in, boxes with honest figures out. "
    "It marks, it never diagnoses: a research tool, not a medical device."
)
# Verbs of which a second run does not do again what a first one finished.
_GO_ON = ("phantoms", "show", "prepare", "train", "predict", "saliency", "dicom", "experiment", "bundle")
_KEPT = "; what is finished is kept, the same command goes on from there"
_NOT_WHOLE = "A package is missing or broken: mammo-monai doctor names it, and how to mend it."
_INTERRUPTED = 130  # as shells number SIGINT: 128 and the signal
CODES = "exit codes:\n  0 done, 1 done in part (what failed is named), 2 not done (the error says why)"
ORIENTATION = f"""mammo-monai {__version__} marks masses in mammograms. It marks, it never diagnoses.

  Is this installation sound?    mammo-monai doctor
  Mark films you have            mammo-monai predict films --bundle cbis_mass_detection -o detections.json
  Look at marks, correct them    mammo-monai review detections.json
  Score marks                    mammo-monai evaluate --help
  Read a data set, train         mammo-monai manifest --help, mammo-monai train --help
  Have no data? Make some        mammo-monai phantoms --layout inbreast --out INbreast
  Hand marks to a PACS           mammo-monai dicom --help

All verbs: mammo-monai --help. One of them, with examples: mammo-monai VERB --help."""


def build_parser() -> argparse.ArgumentParser:
    """The parser with all verbs; imports nothing heavier than argparse."""
    epilog = "\n\n".join((examples_text(""), CODES))
    parser = Parser("mammo-monai", description=DESCRIPTION, epilog=epilog)
    parser.add_argument("--version", action="version", version=f"mammo-monai {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log per image, show tracebacks")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB")
    for verb in VERBS:
        importlib.import_module(f"mammo_monai.cli.{verb}").add_parser(subparsers)
    for each in walk(parser):
        name = each.prog.removeprefix(parser.prog).strip()
        each.description = each.description or DESCRIPTIONS.get(name)
        each.epilog = each.epilog or examples_text(name)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    Verbs that run a bundle pass what they do not know on to MONAI as overrides (`--id value`).
    """
    stand_in_for_closed()
    take_every_letter()
    name_the_nameless()
    try:
        return delivered(_run(arguments))
    except BrokenPipeError:
        return left()
    except KeyboardInterrupt:  # before a verb runs
        print("interrupted.", file=sys.stderr)
        return _INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    parsed, unknown = parser.parse_known_args(arguments)
    innermost = parser_of(parser, parsed)
    if unknown and not hasattr(parsed, "overrides"):
        innermost.error(unknown_text(unknown, innermost))
    if parsed.verb is None:
        print(ORIENTATION)
        return 2
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
    except BrokenPipeError:
        raise
    except (MammoError, OSError, ValueError) as error:
        if parsed.verbose:
            raise
        refused = [word for word in unknown if f"{word.partition('=')[0]}: no such id" in str(error)]
        meant = misspelt(refused, innermost) if isinstance(error, BundleError) else ""
        print(f"mammo-monai {parsed.verb}: {in_words(error)}{meant}", file=sys.stderr)
        return 2
    except ImportError as error:
        if parsed.verbose:
            raise
        print(f"mammo-monai {parsed.verb}: {error}. {_NOT_WHOLE}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted{_KEPT if parsed.verb in _GO_ON else ''}.", file=sys.stderr)
        return _INTERRUPTED


def start(arguments: Sequence[str] | None, verb: str) -> None:
    """What goes before a verb: a process of its own that predicts leaves out what only training needs."""
    if arguments is None and verb == "predict":
        from mammo_monai.cli import lean_start

        lean_start.import_for_prediction()


if __name__ == "__main__":
    sys.exit(main())
