"""The parts of a bundle's configuration, built without running it: detector, data set, inferer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from mammo_monai.bundle.faults import check_ids, own_error
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.run import path_value
from mammo_monai.errors import BundleError


def bundle_parts(
    bundle: str | Path,
    ids: Sequence[str],
    overrides: Mapping[str, object] | None = None,
    *,
    config: str = "inference",
) -> dict[str, Any]:
    """What the ids of `configs/<config>.json` stand for, as a run of the bundle would build them.

    Args:
        bundle: a folder or name, see `find_bundle`.
        ids: those the configuration does not have are left out.
        overrides: ids (`a#b` for nested ones) and values; `bundle_root` is always set to the bundle's folder.

    Raises:
        BundleError: no such bundle, file or overridden id; or a component cannot be made: the message names
            its id and the root cause. Errors of this package come out as they are.
    """
    root, overrides = find_bundle(bundle), dict(overrides or {})
    path = root / "configs" / f"{config}.json"
    if not path.is_file():
        raise BundleError(f"{path}: is missing; it says what the bundle is made of.")
    parser = ConfigParser()
    try:
        parser.read_config(str(path))
    except ValueError as error:
        raise BundleError(f"{path}: expected a JSON object, but: {error}") from error
    content = parser.get()
    check_ids(overrides, content, path.name)
    parser.update({"bundle_root": path_value(root), **overrides})
    try:
        return {name: parser.get_parsed_content(name) for name in ids if name in content}
    except Exception as error:
        # MONAI wraps whatever a component raises, so no narrower class would catch the causes.
        raise own_error(error, f"{root.name}, {path.name}", content, overrides) from error
