"""`mammo-monai dicom echo|find|pull|send`: asking, fetching from and sending to a PACS."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_PEER = "AETITLE@HOST:PORT, or the URL of DICOMweb services (https://HOST/dicom-web)"
_KEYS = "KEYWORD=VALUE to match, such as PatientID=7 or StudyDate=20240101-20241231; KEYWORD alone to show"
_WEB = (
    "User and password, or a token, for DICOMweb stand in MAMMO_MONAI_DICOMWEB_USER and "
    "MAMMO_MONAI_DICOMWEB_PASSWORD, or MAMMO_MONAI_DICOMWEB_TOKEN."
)


_ECHO = "Opens an association with a PACS, sends C-ECHO, and prints how long the answer took."
_FIND = "Asks a PACS by C-FIND or QIDO-RS and prints what matches: patients' data go to stdout."
_PULL = (
    "Fetches the images that match by C-GET, C-MOVE or WADO-RS, one file each in its own transfer syntax. "
    "Prints how many came. Exit code 1: some did not."
)
_SEND = (
    "Sends DICOM files by C-STORE or STOW-RS, as they are. Prints how many were taken. Exit code 1: some "
    "were not."
)


def add_network_actions(actions: Any) -> None:
    """Adds the four actions."""
    _action(actions, "echo", "does a PACS answer us?", _ECHO)
    add = _action(actions, "find", "what is on a PACS: a table of patients' data on stdout", _FIND)
    add("keys", nargs="*", metavar="KEYWORD=VALUE", help=_KEYS)
    add("--level", choices=("study", "series", "image"), default="study", help="of the matches (study)")
    add("--limit", type=int, default=500, metavar="N", help="matches at most (500)")
    add("--json", action="store_true", help="a list of objects instead of a table")
    add = _action(actions, "pull", "fetch images into a folder; what is there is not fetched again", _PULL)
    add("keys", nargs="*", metavar="KEYWORD=VALUE", help=_KEYS.partition(";")[0])
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="for <SOP Instance UID>.dcm")
    add("--all", action="store_true", help="fetch the whole archive: no key is given")
    add("--method", choices=("auto", "get", "move"), default="auto", help="C-GET, else C-MOVE (auto)")
    add("--listen", metavar="HOST:PORT", help="where C-MOVE is to send to, as the PACS knows it")
    add = _action(actions, "send", "send files, each in its own transfer syntax", _SEND)
    add("files", type=Path, nargs="+", metavar="FILE|DIR", help="DICOM files, folders of them")
    add("--decompress", action="store_true", help="decompress what the PACS does not take as it is")
    add("--commit", action="store_true", help="ask the PACS to vouch for what was sent")
    add("--listen", metavar="HOST:PORT", help="where the PACS reports on --commit")


def _action(actions: Any, name: str, text: str, about: str) -> Any:
    parser = actions.add_parser(name, help=text, description=f"{about} {_WEB}")
    add = parser.add_argument
    add("peer", metavar="PEER", help=_PEER)
    parser.set_defaults(overrides=[])  # keys that stand behind an option are handed over as unknown words
    add("--calling-ae", default="MAMMO_MONAI", metavar="AETITLE", help="our own AE title (MAMMO_MONAI)")
    add("--timeout", type=float, default=30.0, metavar="SECONDS", help="for each answer (%(default)g)")
    add("--tls", action="store_true", help="talk by TLS; given with any of the next three")
    add("--tls-cert", type=Path, metavar="PEM", help="our certificate")
    add("--tls-key", type=Path, metavar="PEM", help="its key")
    add("--tls-ca", type=Path, metavar="PEM", help="who signed the other side's (the system's authorities)")
    return add


def run_network(args: argparse.Namespace) -> int:
    """Runs one action; 1 if some instances were not sent or fetched, 2 if none was."""
    from mammo_monai.cli import dicom_network_runs as runs

    others = [each for each in args.overrides if each.startswith("-") or not hasattr(args, "keys")]
    if others:
        raise ValueError(f"unrecognized arguments: {' '.join(others)}. See dicom {args.action} --help.")
    args.keys = [*getattr(args, "keys", ()), *args.overrides]
    return int(getattr(runs, f"run_{args.action}")(args, runs.archive(args)))
