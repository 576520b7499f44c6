"""Where bundles lie, for all who may not import torch to find out: the command's completion, the doctor."""

from __future__ import annotations

from pathlib import Path

import mammo_monai

_PACKAGE = Path(mammo_monai.__file__).parent
# The wheel carries the bundles inside the package; a checkout keeps them beside it.
INSTALLED = _PACKAGE / "_bundles"
SHIPPED = (INSTALLED, _PACKAGE.parent / "bundles")


def bundle_folders() -> dict[str, Path]:
    """Folder of each bundle in `./bundles`, then among those shipped, by name."""
    found: dict[str, Path] = {}
    for home in (Path("bundles"), *SHIPPED):
        for configs in sorted(home.glob("*/configs")):
            found.setdefault(configs.parent.name, configs.parent.absolute())
    return dict(sorted(found.items()))
