"""Models exported on first use, in the user's cache folder, for weights that come without an exported one."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.data.phantoms import cache_folder
from mammo_monai.files import sha256_of
from mammo_monai.inference.runtimes.exported import (
    SCHEMA,
    ExportRecord,
    fault_of,
    model_files,
    network_sha256,
    record_path,
)
from mammo_monai.inference.runtimes.onnx_export import check_equal, write_onnx
from mammo_monai.parts import own_part_folder

if TYPE_CHECKING:
    from torch import nn

    from mammo_monai.inference.runtimes.cores import BackboneMaps, HeadMaps, Run

logger = logging.getLogger(__name__)


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by package; absent ones are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cached_onnx(network: nn.Module, core: HeadMaps | BackboneMaps, opened: Callable[[Path], Run]) -> Path:
    """The network's core as an ONNX file of the cache, exported unless a whole one is there.

    Several processes may come at once: each exports into a folder of its own, the first one's stays. A
    damaged one is replaced, with a WARNING.

    Args:
        opened: the engine that asks, on a file; a file it computes otherwise than torch is not kept.

    Raises:
        WeightsError: the exported file answers otherwise than torch.
        OSError: the cache cannot be written (MAMMO_MONAI_CACHE names another folder).
    """
    digest, made_with = network_sha256(network), versions("torch", "onnx", "mammo-monai")
    key = sha256(f"{SCHEMA} {digest} {sorted(made_with.items())}".encode()).hexdigest()
    folder = cache_folder() / "engines" / key[:32]
    model = folder / model_files("onnx")[0]
    if folder.is_dir():
        fault = fault_of(model, digest)
        if fault is None:
            return model
        logger.warning("%s It is exported again.", fault)
        _move_away(folder)
    logger.info("exporting the network for the engine, once for these weights, into %s", folder)
    with own_part_folder(folder) as part:
        write_onnx(core, part / model.name)
        check_equal(core, opened(part / model.name), "the exported network")
        record = ExportRecord(
            "onnx", "fp32", digest, {model.name: sha256_of(part / model.name)}, made_with=made_with
        )
        record.save(record_path(part / model.name))
        _put_in_place(part, folder, digest)
    return model


def _put_in_place(part: Path, folder: Path, digest: str) -> None:
    """Renames a finished folder; one that another process put there first stays if it is whole."""
    try:
        part.rename(folder)
    except OSError:
        if fault_of(folder / model_files("onnx")[0], digest) is not None:
            raise


def _move_away(folder: Path) -> None:
    """Out of the way at once, then deleted: another process may do the same; a leftover after a kill."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)
