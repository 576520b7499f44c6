"""Checks a packed bundle, as a zip or unpacked: every file as its record says, none more, none less."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.bundle.packing.ancestry import own_origin
from mammo_monai.bundle.packing.bundle_files import (
    DEFAULT_LIMITS,
    BundleFiles,
    Limits,
    open_bundle,
    read_bytes,
    sha256_in,
)
from mammo_monai.bundle.packing.contents import WHEEL_FOLDER, stays_because
from mammo_monai.bundle.packing.record import MAX_RECORD_BYTES, RECORD, PackRecord, parse_record
from mammo_monai.bundle.packing.weight_faults import PICKLES, weight_faults
from mammo_monai.bundle.published import METADATA
from mammo_monai.errors import BundleError
from mammo_monai.files import sha256_of
from mammo_monai.words import bytes_text, counted

NEEDED = ("LICENSE", METADATA, "docs/README.md")
# What runs of an unpacked bundle leave beside it by default.
_LEFT_BY_RUNS = ("eval/", "training/")
SIGNATURE = f"{RECORD}.minisig"  # of an unpacked pack; it cannot stand in the record that it signs


@dataclass(frozen=True)
class Verified:
    """What a check found.

    Attributes:
        sha256: of the zip; of a folder's pack.json, which holds the hashes of all others.
        faults: one sentence each; none means that the bundle is as it was packed.
        notes: what is no fault, but worth knowing.
    """

    path: Path
    sha256: str
    record: PackRecord
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def verify_pack(path: Path, *, sha256: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Verified:
    """Checks a zip that `pack_bundle` wrote, or the folder it was unpacked to, against its record.

    The record proves that nothing was lost or changed by accident. Only `sha256`, from a source of its own,
    proves that nobody packed it anew.

    Args:
        sha256: expected of the zip, or of a folder's pack.json; checked before anything else is read.

    Raises:
        BundleError: another `sha256`; not a pack; a zip with names that lead out of its folder, links,
            entries of one name or more than `limits`; a record that changed.
    """
    path = Path(path)
    if path.is_dir() and not (path / RECORD).is_file():
        raise BundleError(
            f"{path}: no {RECORD}: not an unpacked pack. `mammo-monai bundle check` looks at other folders."
        )
    found = sha256_of(path) if path.is_file() else ""
    _check_pin(path, found, sha256)
    with open_bundle(path, limits) as files:
        if RECORD not in files.sizes:
            raise BundleError(f"{path}: no {RECORD}: not made by `mammo-monai bundle pack`.")
        content = _record_bytes(path, files)
        if path.is_dir():  # of the bytes that are parsed: the file may be another one by now
            found = hashlib.sha256(content).hexdigest()
            _check_pin(path, found, sha256)
        record = parse_record(content, f"{path}, {RECORD}")
        total = sum(each.bytes for each in record.files.values())
        if total > limits.n_bytes or len(record.files) > limits.n_files:
            raise BundleError(f"{path}: {bytes_text(total)}, expected at most {bytes_text(limits.n_bytes)}.")
        here = _left_by_runs(files, record) if path.is_dir() else set()
        faults, notes = _file_faults(files, record, here), _notes(record, here)
        if not faults:
            faults = _content_faults(files, record)
        if files.name != record.bundle:
            said = f"the folder is called {files.name}, the bundle was packed as {record.bundle}."
            (notes if path.is_dir() else faults).append(said)
    return Verified(path, found, record, tuple(faults), tuple(notes))


def _check_pin(path: Path, found: str, expected: str | None) -> None:
    if found and expected is not None and found != expected.strip().lower():
        raise BundleError(
            f"{path}: expected SHA-256 {expected}, got {found}. Do not use it; get the pack again."
        )


def _record_bytes(path: Path, files: BundleFiles) -> bytes:
    try:
        return read_bytes(files, RECORD, MAX_RECORD_BYTES)
    except BundleError as error:
        raise BundleError(f"{path}, {error}") from error


def _left_by_runs(files: BundleFiles, record: PackRecord) -> set[str]:
    left = {name for name in files.sizes if name not in record.files and name.startswith(_LEFT_BY_RUNS)}
    return left | ({SIGNATURE} & set(files.sizes))


def _file_faults(files: BundleFiles, record: PackRecord, ignored: set[str]) -> list[str]:
    there = set(files.sizes) - {RECORD} - ignored
    faults = [f"{name} is a link or no regular file." for name in files.links]
    faults += [f"{name} is missing." for name in record.files if name not in {*there, *files.links}]
    faults += [f"{name} is not in {RECORD}: it was added." for name in sorted(there - set(record.files))]
    faults += [f"{name} is needed, but not in {RECORD}." for name in NEEDED if name not in record.files]
    for name, packed in record.files.items():
        if name not in there:
            continue
        if files.sizes[name] != packed.bytes:
            faults.append(f"{name} has {files.sizes[name]} bytes, {RECORD} says {packed.bytes}.")
        elif (found := _hash(files, name)) != packed.sha256:
            faults.append(f"{name} has SHA-256 {found}, {RECORD} says {packed.sha256}.")
    return faults


def _hash(files: BundleFiles, name: str) -> str:
    try:
        return sha256_in(files, name)
    except BundleError as error:
        return f"unknown ({error})"


def _content_faults(files: BundleFiles, record: PackRecord) -> list[str]:
    """Whether record, metadata and weights say the same; of files that are as they were packed."""
    reasons = {name: _reason(name) for name in record.files}
    strange = [f"{name} does not belong in a pack: {reason}." for name, reason in reasons.items() if reason]
    try:
        metadata: Any = json.loads(read_bytes(files, METADATA, MAX_RECORD_BYTES))
    except (ValueError, RecursionError) as error:
        return [*strange, f"{METADATA} is not JSON: {error}."]
    if not isinstance(metadata, Mapping):
        return [*strange, f"{METADATA}: expected a JSON object."]
    said = {"version": record.version, "weights_sha256": record.weights_sha256}
    faults = [
        f"{RECORD} says {name} {value}, {METADATA} says {metadata.get(name)}."
        for name, value in said.items()
        if metadata.get(name) != value
    ]
    if not record.lineage or dict(record.lineage[0]) != own_origin(record.bundle, metadata):
        faults.append(f"{RECORD} tells another lineage than {METADATA}.")
    return strange + faults + weight_faults(files, metadata)


def _reason(name: str) -> str | None:
    if name.startswith(f"{WHEEL_FOLDER}/") and name.endswith((".whl", "/requirements.txt")):
        return None
    return stays_because(name)


def _notes(record: PackRecord, left_by_runs: set[str]) -> list[str]:
    pickles = [name for name in record.files if name.endswith(PICKLES)]
    notes = [f"{name} is a pickle: it is opened with weights_only." for name in pickles]
    if left_by_runs := left_by_runs - {SIGNATURE}:
        notes.append(
            f"{counted(len(left_by_runs), 'file')} in eval/ or training/: of runs here, not of the pack."
        )
    if record.weights_sha256 is None:
        notes.append("no weights: a recipe to train.")
    return notes
