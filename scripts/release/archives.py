"""Looks into a wheel and an sdist: metadata an index takes, hashes, times, modes, nothing of this machine."""

from __future__ import annotations

import base64
import hashlib
import tarfile
import time
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from pathlib import Path

from packaging.metadata import ExceptionGroup, InvalidMetadata, Metadata
from packaging.utils import parse_sdist_filename, parse_wheel_filename

NAME, LICENCE, PYTHONS = "mammo-monai", "Apache-2.0", "<3.15,>=3.10"
MODES = (0o644, 0o755)
IN_WHEEL = (
    "mammo_monai/py.typed",
    "mammo_monai/_bundles/README.md",
    "mammo_monai/_bundles/cbis_mass_detection/LICENSE",
    "mammo_monai/_bundles/cbis_mass_detection/configs/inference.json",
    "mammo_monai/_bundles/cbis_mass_detection/docs/README.md",
    "mammo_monai/_bundles/cbis_mass_detection/models/SHA256SUMS",
    "mammo_monai/_bundles/cbis_mass_detection/models/model.safetensors",
    "mammo_monai/_bundles/cbis_mass_detection/models/operating_points.json",
)
# What somebody needs who has the sdist alone: to build, to test, to read, to cite.
IN_SDIST = (
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Containerfile", "LICENSE", "Makefile", "README.md",
    ".gitignore", "changelog.d/README.md", "constraints.txt", "experiments/phantom_smoke.json",
    "pyproject.toml", "scripts/release/run.py", "scripts/setup.sh", "tests/conftest.py",
)  # fmt: skip
UNWANTED = (".pyc", ".pt", ".pth", ".so", ".dcm", ".orig", ".rej", "~")


def wheel_faults(path: Path, version: str, epoch: int, folder: str) -> list[str]:
    """What is wrong with a wheel.

    Args:
        epoch: seconds that every entry must say. folder: where it was built; no entry may name it.
    """
    faults = []
    name, said, _, tags = parse_wheel_filename(path.name)
    if (name, str(said), {str(tag) for tag in tags}) != (NAME, version, {"py3-none-any"}):
        faults.append(f"{path.name}: expected the wheel of {NAME} {version} for every Python 3 and system.")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        content = {entry.filename: archive.read(entry) for entry in entries}
    info = f"mammo_monai-{version}.dist-info"
    faults += metadata_faults(content.get(f"{info}/METADATA", b""), version)
    faults += record_faults(content, f"{info}/RECORD")
    faults += missing(content, (*IN_WHEEL, f"{info}/licenses/LICENSE"))
    if b"mammo-monai = mammo_monai.cli.main:main" not in content.get(f"{info}/entry_points.txt", b""):
        faults.append(f"{path.name}: has no command mammo-monai.")
    # Zip counts in steps of two seconds, from 1980.
    stamp = time.gmtime(epoch - epoch % 2)[:6]
    for entry in entries:
        if entry.date_time != stamp:
            faults.append(f"{entry.filename}: expected the commit's time {stamp}, got {entry.date_time}.")
        if (entry.external_attr >> 16) & 0o7777 not in MODES:
            faults.append(f"{entry.filename}: expected mode 644 or 755, got {entry.external_attr >> 16:o}.")
        if entry.filename.partition("/")[0] not in ("mammo_monai", info):
            faults.append(f"{entry.filename}: lies outside mammo_monai/.")
    return faults + content_faults(content, folder)


def sdist_faults(path: Path, version: str, epoch: int, folder: str) -> list[str]:
    """What is wrong with an sdist; arguments as of `wheel_faults`."""
    faults = []
    if parse_sdist_filename(path.name)[0] != NAME or str(parse_sdist_filename(path.name)[1]) != version:
        faults.append(f"{path.name}: expected the sdist of {NAME} {version}.")
    top, content = f"mammo_monai-{version}/", {}
    with tarfile.open(path) as archive:
        for entry in archive:
            name = entry.name.removeprefix(top)
            if not (entry.isfile() or entry.isdir()) or not entry.name.startswith(top):
                faults.append(f"{entry.name}: expected a plain file in {top}.")
            elif (entry.mtime, entry.uid, entry.gid) != (epoch, 0, 0) or entry.mode not in MODES:
                faults.append(f"{name}: expected the commit's time, owner 0:0, mode 644 or 755.")
            if entry.isfile():
                content[name] = archive.extractfile(entry).read()  # type: ignore[union-attr]  # a plain file
    faults += metadata_faults(content.get("PKG-INFO", b""), version)
    return faults + missing(content, IN_SDIST) + content_faults(content, folder)


def metadata_faults(text: bytes, version: str) -> list[str]:
    """What an index would refuse or show wrongly: core metadata 2.4 and the description's type."""
    try:
        metadata = Metadata.from_email(text, validate=True)
    except (ExceptionGroup, InvalidMetadata) as error:
        each = getattr(error, "exceptions", [error])
        return [f"metadata: {fault}" for fault in each]
    wanted = {"name": NAME, "version": version, "license_expression": LICENCE, "requires_python": PYTHONS}
    faults = [
        f"metadata: expected {key} {value}, got {getattr(metadata, key)}."
        for key, value in wanted.items()
        if str(getattr(metadata, key)) != value
    ]
    if not str(message_from_bytes(text)["Description-Content-Type"]).startswith("text/markdown"):
        faults.append("metadata: expected a description in Markdown.")
    if len(metadata.description or "") < 1000:
        faults.append("metadata: expected README.md as the description.")
    return faults


def record_faults(content: dict[str, bytes], record: str) -> list[str]:
    """Files whose hash or size is not the one RECORD says, that it does not name, or that are not there."""
    rows = [line.rsplit(",", 2) for line in content.get(record, b"").decode().splitlines()]
    said = {name: (digest, size) for name, digest, size in rows if name != record}
    faults = [f"{name}: not in RECORD." for name in sorted(content.keys() - said.keys() - {record})]
    for name, (digest, size) in said.items():
        found = (
            base64.urlsafe_b64encode(hashlib.sha256(content.get(name, b"")).digest()).rstrip(b"=").decode()
        )
        if name not in content or digest != f"sha256={found}" or int(size) != len(content[name]):
            faults.append(f"{name}: not the file that RECORD names.")
    return faults


def missing(content: dict[str, bytes], wanted: Iterable[str]) -> list[str]:
    """What should be there and is not, or holds nothing; of py.typed the name is all."""
    return [
        f"{name}: missing."
        for name in wanted
        if not content.get(name) and not (name in content and name.endswith("/py.typed"))
    ]


def content_faults(content: dict[str, bytes], folder: str) -> list[str]:
    """Files that belong into no archive, and files that name the folder they were built in."""
    unwanted = [name for name in content if name.endswith(UNWANTED) or "__pycache__" in name.split("/")]
    named = [name for name, text in content.items() if folder.encode() in text]
    return [f"{name}: does not belong into an archive." for name in sorted(unwanted)] + [
        f"{name}: names the folder it was built in." for name in sorted(named)
    ]
