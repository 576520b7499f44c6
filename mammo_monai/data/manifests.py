"""Which manifest a name means: a file, a folder that holds one, or generated phantoms."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.data.phantoms import PHANTOMS_PREFIX, phantom_manifest
from mammo_monai.errors import ManifestError
from mammo_monai.schema.manifest import MANIFEST_NAME


def manifest_path(name: str | Path) -> str:
    """Path of the manifest meant by `name`.

    Args:
        name: a manifest's file; a folder with `manifest.json`; or `phantoms:LAYOUT[:PATIENTS]`, which are
            generated once, kept in a cache, and never give clinical figures (WARNING).

    Raises:
        ManifestError: there is none.
    """
    if isinstance(name, str) and name.startswith(PHANTOMS_PREFIX):
        return str(phantom_manifest(name.removeprefix(PHANTOMS_PREFIX)))
    path = Path(name) / MANIFEST_NAME if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise ManifestError(
            f"{path}: no such manifest. Give --manifest FILE (made by `mammo-monai manifest`), a folder that "
            "holds manifest.json, or phantoms:LAYOUT."
        )
    return str(path)
