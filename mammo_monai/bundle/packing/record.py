"""`pack.json`, the record in a packed bundle: the SHA-256 of every file, and where its weights come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from mammo_monai.bundle.packing.safe_names import clashes, is_bundle_name, name_fault
from mammo_monai.errors import BundleError

RECORD = "pack.json"
SCHEMA = "mammo-monai/pack/1"
MAX_RECORD_BYTES = 4_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEAL = "content_sha256"


@dataclass(frozen=True)
class PackedFile:
    """Hash and size of one file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class PackRecord:
    """What `pack.json` says.

    Attributes:
        weights_sha256: that of models/model.safetensors; None for a recipe without weights.
        lineage: the bundle's own origin first, then its parent's, and so on; see `ancestry`.
        files: by name relative to the bundle's folder, `pack.json` itself left out.
    """

    bundle: str
    version: str
    made_with: str
    weights_sha256: str | None
    lineage: tuple[Mapping[str, object], ...]
    files: Mapping[str, PackedFile]

    def text(self) -> str:
        """The file's content: the same for the same record, sealed with the SHA-256 of itself."""
        content: dict[str, object] = {
            "schema": SCHEMA,
            "bundle": self.bundle,
            "version": self.version,
            "made_with": self.made_with,
            "weights_sha256": self.weights_sha256,
            "lineage": [dict(each) for each in self.lineage],
            "files": {name: asdict(self.files[name]) for name in sorted(self.files)},
        }
        return _canonical({**content, _SEAL: sha256(_canonical(content).encode()).hexdigest()})


def parse_record(text: bytes, where: str) -> PackRecord:
    """The record in the bytes of a `pack.json`.

    Raises:
        BundleError: not a record of this version, changed since it was written, or with names that lead out
            of the bundle's folder.
    """
    try:
        content = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: not JSON: {error}. Get the pack again.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise BundleError(f"{where}: expected schema {SCHEMA}, got {found!r}. Pack the bundle again.")
    try:
        record = PackRecord(
            bundle=_text(content["bundle"]),
            version=_text(content["version"]),
            made_with=_text(content["made_with"]),
            weights_sha256=None if content["weights_sha256"] is None else _hash(content["weights_sha256"]),
            lineage=tuple({**each} for each in content["lineage"]),
            files={name: _file(each) for name, each in content["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{where}: a field is missing or no such value: {error}. Get the pack again."
        ) from error
    if not _is_sealed(record, text):
        raise BundleError(
            f"{where}: changed since it was written: it does not hold the SHA-256 of its own content "
            f"({_SEAL}). Get the pack again."
        )
    _check_names(record, where)
    return record


def _is_sealed(record: PackRecord, text: bytes) -> bool:
    try:
        return record.text().encode() == text
    except UnicodeEncodeError:  # half a character, as "\ud800", which no pack is written with
        return False


def _check_names(record: PackRecord, where: str) -> None:
    if not is_bundle_name(record.bundle):
        raise BundleError(f"{where}: {record.bundle!r} is no name for a bundle (letters, digits, _ - .).")
    bad = [f"{name!r} {fault}" for name in record.files if (fault := name_fault(name))]
    bad += [f"{each} are one file on some systems" for each in clashes([*record.files, RECORD])]
    if bad:
        raise BundleError(f"{where}: {bad[0]}. Do not unpack it.")


def _canonical(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _hash(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {value!r}")
    return value


def _file(content: Mapping[str, object]) -> PackedFile:
    size = content["bytes"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"expected a number of bytes, got {size!r}")
    return PackedFile(_hash(content["sha256"]), size)
