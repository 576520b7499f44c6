"""Where a bundle is: a path, `./bundles/NAME`, or one of those shipped with the package."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.bundle_homes import SHIPPED, bundle_folders
from mammo_monai.errors import BundleError


def find_bundle(name: str | Path) -> Path:
    """Absolute folder of a bundle.

    Args:
        name: a folder that holds `configs/`, else a name: in `./bundles`, then among those shipped.

    Raises:
        BundleError: nowhere; the message lists the names there are.
    """
    for folder in (Path(name), Path("bundles") / name, *(shipped / name for shipped in SHIPPED)):
        if (folder / "configs").is_dir():
            return folder.absolute()
    raise BundleError(
        f"bundle {str(name)!r} not found: expected a folder with configs/, or one of "
        f"{', '.join(bundle_names())}."
    )


def bundle_names() -> list[str]:
    """Names of the bundles in `./bundles` and of those shipped."""
    return list(bundle_folders())
