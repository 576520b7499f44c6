"""Where a bundle is: a path, `./bundles/NAME`, or one of those shipped with the package."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.bundle_homes import INSTALLED, SHIPPED, bundle_folders
from mammo_monai.errors import BundleError


def find_bundle(name: str | Path) -> Path:
    """Absolute folder of a bundle.

    Args:
        name: a folder that holds `configs/`, else a name: in `./bundles`, then among those shipped.

    Raises:
        BundleError: nowhere; the message lists the names there are.
    """
    found = _found(name)
    if found is None:
        raise BundleError(
            f"bundle {str(name)!r} not found: expected a folder with configs/, or one of "
            f"{', '.join(bundle_names())}."
        )
    return found.absolute()


def refuse_to_write_into_installed(name: str | Path, option: str) -> None:
    """Refuses a bundle's own folder for results where it was found by name inside the installed package.

    An update would remove them, and everybody who shares the installation would get them. Bundles of a clone,
    and a folder that is named by its path, are written to.

    Args:
        option: of the command, that names another place: "--output-dir runs/mine".

    Raises:
        BundleError: the bundle is one of the installed package, found by its name.
    """
    found = _found(name)
    if found is None or found == Path(name) or found.resolve().parent != INSTALLED.resolve():
        return
    raise BundleError(
        f"{found.absolute()}: this bundle is part of the installed package, and nothing is written into it "
        f"unasked: an update would remove it. Say where it goes ({option}), or copy the folder and name the "
        "copy by its path."
    )


def _found(name: str | Path) -> Path | None:
    places = (Path(name), Path("bundles") / name, *(shipped / name for shipped in SHIPPED))
    return next((each for each in places if (each / "configs").is_dir()), None)


def bundle_names() -> list[str]:
    """Names of the bundles in `./bundles` and of those shipped."""
    return list(bundle_folders())
