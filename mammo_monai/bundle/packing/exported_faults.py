"""Whether networks exported for other engines are whole, and made of the bundle's own weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mammo_monai.bundle.packing.bundle_files import BundleFiles, read_bytes, sha256_in
from mammo_monai.errors import BundleError
from mammo_monai.inference.runtimes.exported import SCHEMA

EXPORTED = re.compile(r"models/model(_int8)?\.(onnx|xml|bin)")
RECORDS = re.compile(r"models/model(_int8)?\.(onnx|xml)\.json")
_MAX_RECORD_BYTES = 1_000_000
_REMEDY = "Export again with `mammo-monai bundle export`, or remove it."


def exported_faults(files: BundleFiles, weights_sha256: object = None) -> list[str]:
    """One sentence per exported model that has no record, is not as recorded, or is of other weights.

    Args:
        weights_sha256: those the bundle declares; None where it declares none.
    """
    faults: list[str] = []
    recorded: set[str] = set()
    for name in filter(RECORDS.fullmatch, files.sizes):
        try:
            record = _record(files, name)
        except (BundleError, ValueError, RecursionError) as error:
            faults.append(f"{name} is not the record of an exported model: {error}. {_REMEDY}")
            continue
        recorded |= {f"models/{each}" for each in record["files"]}
        faults += _faults_of(files, name, record, weights_sha256)
    there = {name for name in files.sizes if EXPORTED.fullmatch(name)}
    return faults + [
        f"{name} stands in no record of an exported model. {_REMEDY}" for name in sorted(there - recorded)
    ]


def _record(files: BundleFiles, name: str) -> Mapping[str, Any]:
    content: Any = json.loads(read_bytes(files, name, _MAX_RECORD_BYTES))
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    if not isinstance(content.get("files"), dict) or not content["files"]:
        raise ValueError("it names no files")
    return content


def _faults_of(files: BundleFiles, name: str, record: Mapping[str, Any], weights_sha256: object) -> list[str]:
    faults = []
    if weights_sha256 is not None and record.get("weights_sha256") != weights_sha256:
        faults.append(f"{name} is of weights {record.get('weights_sha256')}, not the bundle's. {_REMEDY}")
    for each, expected in record["files"].items():
        path = f"models/{each}"
        if not EXPORTED.fullmatch(path) or path not in files.sizes:
            faults.append(f"{name} names {each!r}, which is not there. {_REMEDY}")
        elif sha256_in(files, path) != expected:
            faults.append(f"{path} is not as it was exported: its SHA-256 is another. {_REMEDY}")
    return faults
