"""The parts of a bundle's configuration, built without running it: detector, data set, inferer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from mammo_monai.bundle.devices import check_device
from mammo_monai.bundle.faults import check_ids, own_error
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.run import path_value
from mammo_monai.bundle.trust import admitted
from mammo_monai.bundle.trust.snapshot import merged


def bundle_parts(
    bundle: str | Path,
    ids: Sequence[str],
    overrides: Mapping[str, object] | None = None,
    *,
    config: str = "inference",
    is_trusted: bool = False,
) -> dict[str, Any]:
    """What the ids of `configs/<config>.json` stand for, as a run of the bundle would build them.

    Args:
        bundle: a folder or name, see `find_bundle`.
        ids: those the configuration does not have are left out.
        overrides: ids (`a#b` for nested ones) and values; `bundle_root` is always set to the bundle's folder.
        is_trusted: as `run_bundle`.

    Raises:
        UntrustedBundleError: it would do more than is known, and is not trusted.
        BundleError: no such bundle, file, overridden id or device; or a component cannot be made: the
            message names its id and the root cause. Errors of this package come out as they are.
    """
    root, overrides = find_bundle(bundle), dict(overrides or {})
    name = f"configs/{config}.json"
    snapshot, _ = admitted(root, is_trusted=is_trusted)
    content = merged(snapshot, [name])
    check_ids(overrides, content, f"{config}.json")
    check_device(overrides.get("device"))
    parser = ConfigParser()
    parser.read_config(content)
    parser.update({"bundle_root": path_value(root), **overrides})
    try:
        return {name: parser.get_parsed_content(name) for name in ids if name in content}
    except Exception as error:
        # MONAI wraps whatever a component raises, so no narrower class would catch the causes.
        raise own_error(error, f"{root.name}, {config}.json", content, overrides) from error
