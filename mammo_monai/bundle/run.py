"""Runs an id of a bundle's configuration through MONAI's own workflow."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from monai.bundle import ConfigWorkflow

from mammo_monai.bundle.devices import check_device
from mammo_monai.bundle.faults import check_ids, own_error
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.trust import Snapshot, admitted
from mammo_monai.bundle.trust.snapshot import merged
from mammo_monai.bundle.workflow import SnapshotWorkflow
from mammo_monai.errors import BundleError

_JSON_WORDS = {"true": True, "false": False, "null": None}


def run_bundle(
    bundle: str | Path,
    config: str,
    run_id: str,
    overrides: Mapping[str, object],
    *,
    overlays: Sequence[str] = (),
    is_trusted: bool = False,
) -> ConfigWorkflow:
    """Runs `run_id` of `configs/<config>.json`, as `python -m monai.bundle run` does; returns the workflow.

    Args:
        bundle: a folder or name, see `find_bundle`.
        config: `train`, `inference` …: the base file, without its ending.
        overrides: ids (`a#b` for nested ones) and values; `bundle_root` is always set to the bundle's folder.
        overlays: further configuration files that are merged over the base: names in `configs/`, or paths
            of files of the user's own, which are not inspected.
        is_trusted: runs the bundle though it would do more than is known; see `trust.admitted`.

    Raises:
        UntrustedBundleError: it would, and is neither trusted now nor on the user's list.
        BundleError: no such bundle, file, id or device; or a component cannot be made or run: the message
            names its id and the root cause. Errors of this package inside the run come out as they are.
    """
    root = Path(path_value(find_bundle(bundle)))
    snapshot, is_trusted = admitted(root, is_trusted=is_trusted)
    files = [f"configs/{config}.json", *(_config_file(snapshot, name) for name in overlays)]
    content = merged(snapshot, files)
    check_ids(overrides, content, " + ".join(Path(name).name for name in files))
    check_device(overrides.get("device"))
    given = deepcopy(content)
    try:
        workflow = SnapshotWorkflow(
            snapshot, given, {"bundle_root": str(root), **overrides}, run_id=run_id, is_trusted=is_trusted
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except Exception as error:
        # MONAI wraps whatever a component raises, so no narrower class would catch the causes.
        raise own_error(error, f"{root.name}, {Path(files[0]).name}", content, overrides) from error
    return workflow


def path_value(path: str | Path) -> str:
    """A path as the value of an override: absolute, so that MONAI takes no "$", "@" or "%" for an expression.

    Raises:
        BundleError: the path holds "#", which MONAI rewrites to "::" wherever it stands.

    >>> path_value("/data/$films/@home.json")
    '/data/$films/@home.json'
    """
    absolute = str(Path(path).absolute())
    if "#" in absolute:
        raise BundleError(
            f"{absolute}: MONAI's configurations cannot hold a path with '#' (it separates ids there). "
            "Rename the folder or file, or reach it through a link."
        )
    return absolute


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
    if value.lower() in _JSON_WORDS:
        return _JSON_WORDS[value.lower()]
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _config_file(snapshot: Snapshot, name: str) -> str | Path:
    """A name in the bundle, or the path of a file of the user's own."""
    if (inside := f"configs/{name}") in snapshot.contents:
        return inside
    if Path(name).is_file():
        return Path(name)
    raise BundleError(f"{snapshot.root}: no configuration {name!r} in configs/ or at that path.")
