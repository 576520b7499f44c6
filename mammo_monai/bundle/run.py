"""Runs an id of a bundle's configuration through MONAI's own workflow."""

from __future__ import annotations

import ast
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from monai.bundle import ConfigWorkflow

from mammo_monai.bundle.find import find_bundle
from mammo_monai.errors import BundleError, MammoError

logger = logging.getLogger(__name__)


def run_bundle(
    bundle: str | Path,
    config: str,
    run_id: str,
    overrides: Mapping[str, object],
    *,
    overlays: Sequence[str] = (),
) -> ConfigWorkflow:
    """Runs `run_id` of `configs/<config>.json`, as `python -m monai.bundle run` does; returns the workflow.

    Args:
        bundle: a folder or name, see `find_bundle`.
        config: `train`, `inference` …: the base file, without its ending.
        overrides: ids (`a#b` for nested ones) and values; `bundle_root` is always set to the bundle's folder.
        overlays: further configuration files that are merged over the base: names in `configs/`, or paths.

    Raises:
        BundleError: no such bundle, file or id. Errors of this package inside the run come out as they are.
    """
    root = find_bundle(bundle)
    files = [_config_file(root, name) for name in (f"{config}.json", *overlays)]
    metadata, logging_file = root / "configs" / "metadata.json", root / "configs" / "logging.conf"
    workflow = ConfigWorkflow(
        config_file=[str(path) for path in files],
        meta_file=str(metadata) if metadata.is_file() else None,
        logging_file=str(logging_file) if logging_file.is_file() else None,
        run_id=run_id,
        **{"bundle_root": str(root), **overrides},
    )
    try:
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except (RuntimeError, ValueError, KeyError) as error:
        raise _own_error(error, f"{root.name}, id {run_id!r} of {files[0].name}") from error
    return workflow


def parse_overrides(arguments: Sequence[str]) -> dict[str, object]:
    """`--id value` pairs as a dict; values are read as Python literals where they are ones.

    Raises:
        BundleError: an id without a value, or a value without an id.

    >>> parse_overrides(["--learning_rate", "1e-4", "--train#dataloader#batch_size", "4", "--init", "none"])
    {'learning_rate': 0.0001, 'train#dataloader#batch_size': 4, 'init': 'none'}
    """
    overrides: dict[str, object] = {}
    pending = list(arguments)
    while pending:
        name = pending.pop(0)
        if not name.startswith("--"):
            raise BundleError(f"expected --id value, got {name!r} without an id before it.")
        name, found, value = name[2:].partition("=")
        if not found:
            if not pending or pending[0].startswith("--"):
                raise BundleError(f"--{name} needs a value: overrides are given as --id value.")
            value = pending.pop(0)
        overrides[name] = _literal(value)
    return overrides


def _literal(value: str) -> object:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _config_file(root: Path, name: str) -> Path:
    for path in (root / "configs" / name, Path(name)):
        if path.is_file():
            return path
    raise BundleError(f"{root}: no configuration {name!r} in configs/ or at that path.")


def _own_error(error: BaseException, where: str) -> Exception:
    """The error of this package that MONAI wrapped while it built a component, else a BundleError."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MammoError | OSError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return BundleError(f"{where} could not be run: {error}")
