"""Where a bundle is: a path, `./bundles/NAME`, or one of those shipped with the package."""

from __future__ import annotations

from pathlib import Path

import mammo_monai
from mammo_monai.errors import BundleError

_PACKAGE = Path(mammo_monai.__file__).parent
# The wheel carries the bundles inside the package; a checkout keeps them beside it.
_SHIPPED = (_PACKAGE / "_bundles", _PACKAGE.parent / "bundles")


def find_bundle(name: str | Path) -> Path:
    """Absolute folder of a bundle.

    Args:
        name: a folder that holds `configs/`, else a name: in `./bundles`, then among those shipped.

    Raises:
        BundleError: nowhere; the message lists the names there are.
    """
    for folder in (Path(name), Path("bundles") / name, *(shipped / name for shipped in _SHIPPED)):
        if (folder / "configs").is_dir():
            return folder.absolute()
    raise BundleError(
        f"bundle {str(name)!r} not found: expected a folder with configs/, or one of "
        f"{', '.join(bundle_names())}."
    )


def bundle_names() -> list[str]:
    """Names of the bundles in `./bundles` and of those shipped."""
    return sorted(
        {path.parent.name for home in (Path("bundles"), *_SHIPPED) for path in home.glob("*/configs")}
    )
