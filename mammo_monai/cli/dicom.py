"""`mammo-monai dicom`: results as DICOM objects and back, and asking, fetching from and sending to a PACS."""

from __future__ import annotations

import argparse
from typing import Any

from mammo_monai.cli.dicom_deidentify import add_deidentify_action, run_deidentify
from mammo_monai.cli.dicom_marks import add_marks_action, run_marks
from mammo_monai.cli.dicom_network import add_network_actions, run_network
from mammo_monai.cli.dicom_results import KINDS, add_result_actions, run_results


def add_parser(subparsers: Any) -> None:
    """Adds the verb and its actions."""
    verb = subparsers.add_parser(
        "dicom",
        help="marks as DICOM reports and overlays and back; find, pull and send on a PACS",
        description="sr, cad, gsps, sc and seg write the marks of a detections.json as DICOM objects into "
        "the study of each image; marks reads them back. deidentify copies files without patient data. echo, "
        "find, pull and send speak to a PACS.",
    )
    verb.set_defaults(run=run)
    actions = verb.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_result_actions(actions)
    add_marks_action(actions)
    add_deidentify_action(actions)
    add_network_actions(actions)


def run(args: argparse.Namespace) -> int:
    """Runs one action; its exit code."""
    if args.action in KINDS:
        return run_results(args)
    if args.action == "deidentify":
        return run_deidentify(args)
    return run_marks(args) if args.action == "marks" else run_network(args)
