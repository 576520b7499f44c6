"""Where the manifest lies that a person names: its file, or the folder that holds it."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.errors import ManifestError

MANIFEST_NAME = "manifest.json"
_SHOWN = 3


def manifest_file(place: Path) -> Path:
    """The file of a manifest; of a folder, the `manifest.json` in it.

    Raises:
        ManifestError: a folder without one; other JSON files that lie there are named.
    """
    if not place.is_dir():
        return place
    if (place / MANIFEST_NAME).is_file():
        return place / MANIFEST_NAME
    others = sorted(path.name for path in place.glob("*.json"))[:_SHOWN]
    hint = f" Is it one of {', '.join(others)}? Give that file." if others else ""
    raise ManifestError(f"{place}: expected a manifest, or a folder that holds {MANIFEST_NAME}.{hint}")
