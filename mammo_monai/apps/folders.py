"""Where the applications are: folders that another platform starts, shipped inside this package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mammo_monai.errors import BundleError

APPS: Mapping[str, str] = MappingProxyType(
    {
        "monai-label": "marks, batches, active learning and fine-tuning for `monailabel start_server`",
        "monai-deploy": "series in, reports out: an operator graph for MONAI Deploy",
    }
)
"""What each application is, by its name; its folder has the name with an underscore."""
_HOME = Path(__file__).parent
# What running an application leaves in its folder (MONAI Label's own choice of names), and Python's cache.
_LEFT_BY_RUNS = ("bin", "lib", "logs", "model", "__pycache__")


def app_folder(name: str) -> Path:
    """Absolute folder of an application.

    Raises:
        BundleError: no such application; the message lists those there are.
    """
    folder = _HOME / name.replace("-", "_")
    if name not in APPS or not folder.is_dir():
        raise BundleError(f"application {name!r} not found: expected {' or '.join(sorted(APPS))}.")
    return folder


def copy_app(name: str, target: Path) -> Path:
    """Copies an application to a folder of the site's own, where its server may write logs and weights.

    What a run left in the application's folder stays behind.

    Returns:
        The new folder, absolute.

    Raises:
        BundleError: no such application, or something is there already.
    """
    source, target = app_folder(name), Path(target).absolute()
    if target.exists():
        raise BundleError(f"{target}: expected nothing there, as the copy must not mix with other files.")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_LEFT_BY_RUNS))
    return target
