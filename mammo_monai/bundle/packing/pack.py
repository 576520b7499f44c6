"""Packs a bundle for another site: one zip, the same bytes for the same bundle, nothing that should stay."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import mammo_monai
from mammo_monai.bundle.check import check_bundle
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.packing.ancestry import ancestry
from mammo_monai.bundle.packing.archive import write_archive
from mammo_monai.bundle.packing.bundle_files import FolderFiles
from mammo_monai.bundle.packing.contents import WHEEL_FOLDER, Contents, bundle_contents
from mammo_monai.bundle.packing.model_card import card_faults
from mammo_monai.bundle.packing.record import RECORD, PackedFile, PackRecord
from mammo_monai.bundle.packing.safe_names import is_bundle_name
from mammo_monai.bundle.packing.verify import verify_pack
from mammo_monai.bundle.packing.weight_faults import weight_faults
from mammo_monai.bundle.packing.wheel import own_wheel, requirements_text
from mammo_monai.bundle.published import METADATA, json_object
from mammo_monai.errors import BundleError
from mammo_monai.files import atomic_path, sha256_of
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Packed:
    """The file written, its SHA-256, what is in it, and what was left out, with reasons."""

    path: Path
    sha256: str
    n_bytes: int
    record: PackRecord
    left_out: Mapping[str, str]


def pack_bundle(bundle: str | Path, output: Path | None = None, *, wheel: Path | bool = False) -> Packed:
    """Writes a bundle as one zip, whole or not at all: the same bundle gives the same bytes.

    Args:
        bundle: its folder or name, see `find_bundle`.
        output: the zip, or a folder to put it into; None is NAME-VERSION.zip in the working directory.
        wheel: True adds this package's wheel, see `own_wheel`, and a requirements file; a path that one.

    Raises:
        BundleError: no such bundle; one with faults (`check_bundle`), without intended use or limits in its
            model card, with weights that are undeclared, damaged or others than declared; with links or code.
        OSError: the file cannot be written; nothing was changed.
    """
    root = find_bundle(bundle).resolve()
    contents = bundle_contents(root)
    _refuse_faults(root, contents)
    metadata = json_object(root / METADATA)
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Path | bytes] = dict(contents.files)
        if wheel:
            built = own_wheel(Path(folder), None if wheel is True else Path(wheel))
            files[f"{WHEEL_FOLDER}/{built.name}"] = built
            files[f"{WHEEL_FOLDER}/requirements.txt"] = requirements_text(built.name, metadata).encode()
        record = PackRecord(
            root.name,
            str(metadata.get("version")),
            f"mammo-monai {mammo_monai.__version__}",
            metadata.get("weights_sha256"),
            ancestry(root),
            {name: _packed(source) for name, source in files.items()},
        )
        path = _output(output, record)
        with atomic_path(path) as part:
            write_archive(part, root.name, {**files, RECORD: record.text().encode()}, first=RECORD)
            if faults := verify_pack(part).faults:  # a file that changed meanwhile
                raise BundleError(f"{root.name}: changed while it was packed: {faults[0]} Pack it again.")
    for name, reason in contents.left_out.items():
        logger.debug("left out %s: %s", name, reason)
    logger.info(
        "packed %s %s: %d files, %d left out", root.name, record.version, len(files), len(contents.left_out)
    )
    return Packed(path, sha256_of(path), path.stat().st_size, record, contents.left_out)


def _refuse_faults(root: Path, contents: Contents) -> None:
    """Says every fault at once: a bundle is mended in one go."""
    faults = (
        []
        if is_bundle_name(root.name)
        else [f"{root.name!r} is no name for a bundle (letters, digits, _ - .)."]
    )
    faults += check_bundle(root) + card_faults(root)
    if (root / METADATA).is_file():
        travelling = FolderFiles(root)
        travelling.sizes = {name: size for name, size in travelling.sizes.items() if name in contents.files}
        found = weight_faults(travelling, json_object(root / METADATA))
        faults += [f"{root.name}: {each}" for each in found if f"{root.name}: {each}" not in faults]
    if faults:
        listed = "\n".join(faults)
        raise BundleError(f"{root.name} is not packed; {counted(len(faults), 'fault')}:\n{listed}")


def _packed(source: Path | bytes) -> PackedFile:
    if isinstance(source, bytes):
        return PackedFile(sha256(source).hexdigest(), len(source))
    return PackedFile(sha256_of(source), source.stat().st_size)


def _output(output: Path | None, record: PackRecord) -> Path:
    name = f"{record.bundle}-{record.version}.zip"
    if output is None:
        return Path(name)
    return output / name if Path(output).is_dir() else Path(output)
