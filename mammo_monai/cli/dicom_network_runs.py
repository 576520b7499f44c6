"""What `mammo-monai dicom echo|find|pull|send` do and print; patient data only where they are asked for."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mammo_monai.cli.dicom_network_table import table_lines
from mammo_monai.cli.progress_bar import counting_bar
from mammo_monai.dicom.network import Listening, NetworkError, Query, TlsFiles, request_storage_commitment
from mammo_monai.dicom.network.archives import Archive, DimseArchive, archive_of
from mammo_monai.dicom.network.queries import values_of
from mammo_monai.dicom.network.sending import SendOutcome
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.parts import is_part_name
from mammo_monai.words import counted


def archive(args: argparse.Namespace) -> Archive:
    """The archive that the options name; libraries that would log values of data sets are silenced."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    files = (args.tls_cert, args.tls_key, args.tls_ca)
    listen = getattr(args, "listen", None)
    return archive_of(
        args.peer,
        calling_ae_title=args.calling_ae,
        tls=TlsFiles(*files) if args.tls or any(files) else None,
        timeout_s=args.timeout,
        method=getattr(args, "method", "auto"),
        listening=Listening.parse(listen) if listen else None,
        decompress=getattr(args, "decompress", False),
    )


def run_echo(_: argparse.Namespace, peer: Archive) -> int:
    """Prints how long the answer took."""
    print(f"{peer} answers, {peer.echo() * 1000:.0f} ms")
    return 0


def run_find(args: argparse.Namespace, peer: Archive) -> int:
    """Prints the matches."""
    rows = [values_of(each) for each in peer.search(Query.parse(args.level, args.keys), limit=args.limit)]
    if args.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif rows:
        print("\n".join(table_lines(rows)))
    more = ", perhaps more: raise --limit" if len(rows) == args.limit else ""
    print(f"{counted(len(rows), 'match')}{more}", file=sys.stderr)
    return 0


def run_pull(args: argparse.Namespace, peer: Archive) -> int:
    """Fetches; prints how many; names what was not fetched."""
    query = Query.parse("image", args.keys)
    if query.is_open() and not args.all:
        raise NetworkError(
            "expected keys such as PatientID=7, got none. To fetch the whole archive, add --all."
        )
    with counting_bar("fetching") as bar:
        outcomes = peer.retrieve(query, args.output, progress=bar)
    counts = Counter(each.status for each in outcomes)
    for each in outcomes:
        if each.status == "failed":
            print(f"not fetched {each.sop_instance_uid}: {each.reason}", file=sys.stderr)
    present = f"{counts['present']} were there"
    print(f"{args.output}: {counts['received']} received, {present}, {counts['failed']} failed")
    return _exit_code(len(outcomes), counts["failed"])


def run_send(args: argparse.Namespace, peer: Archive) -> int:
    """Sends; prints how many; names what was not sent."""
    if args.commit and not isinstance(peer, DimseArchive):
        raise NetworkError(f"{peer}: expected AETITLE@host:port for --commit, got a URL. Leave it out.")
    files = _files(args.files)
    with counting_bar("sending") as bar:
        outcomes = peer.store(files, progress=bar)
    counts = Counter(each.status for each in outcomes)
    for each in outcomes:
        if each.status != "sent":
            print(f"not sent {each.path}: {each.reason}", file=sys.stderr)
    print(f"{peer}: {counts['sent']} sent, {counts['refused']} refused, {counts['failed']} failed")
    n_faults = len(outcomes) - counts["sent"]
    if args.commit and isinstance(peer, DimseArchive) and counts["sent"]:
        n_faults += _commit(peer, outcomes)
    return _exit_code(len(outcomes), n_faults)


def _commit(peer: DimseArchive, outcomes: Sequence[SendOutcome]) -> int:
    """Has what was sent vouched for; how many instances are not."""
    sent = {each.sop_instance_uid: each.sop_class_uid for each in outcomes if each.status == "sent"}
    commitment = request_storage_commitment(
        peer.peer,
        sent,
        calling_ae_title=peer.calling_ae_title,
        timeout_s=peer.timeout_s,
        listening=peer.listening,
    )
    for uid, reason in commitment.failed.items():
        print(f"not vouched for {uid}: {reason}", file=sys.stderr)
    print(f"{peer}: vouches for {len(commitment.committed)} of {len(sent)}")
    return len(commitment.failed)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Files as named; of folders, what is DICOM by its content, sorted."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else []
        whole = [each for each in inside if not is_part_name(each.name)]  # half a film is none
        found = [each for each in whole if is_dicom(each)] if path.is_dir() else [path]
        if not found:
            raise NetworkError(
                f"{path}: expected DICOM files, found none of {len(inside)}. Check the folder."
            )
        files += found
    return files


def _exit_code(n_instances: int, n_faults: int) -> int:
    if not n_faults:
        return 0
    return 2 if n_faults >= n_instances else 1
