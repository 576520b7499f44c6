"""Where the applications are: folders that another platform starts, shipped inside this package."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from mammo_monai.errors import BundleError
from mammo_monai.files import could_not_write, flush_tree_to_disk
from mammo_monai.parts import own_part_folder

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
        OSError: the copy cannot be written; nothing is there then.
    """
    source, target = app_folder(name), Path(target).absolute()
    try:
        with new_folder(target) as part:
            _copy_tree(source, part)
    except OSError as error:
        raise could_not_write(target, error) from error
    return target


def _copy_tree(source: Path, target: Path) -> None:
    """File by file, as `shutil.copytree` goes on after a full disk and then tells of all files at once."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if not set(name.parts).isdisjoint(_LEFT_BY_RUNS):
            continue
        if path.is_dir():
            (target / name).mkdir()
        else:
            shutil.copy2(path, target / name)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yields a folder to fill; moves it to `target` when the block succeeds: it is there whole or not at all.

    Raises:
        BundleError: something is there already.
    """
    there = (
        f"{target}: is there already; expected nothing there, as the copy must not mix with other files. "
        "Remove it, or name another folder."
    )
    if target.exists():
        raise BundleError(there)
    with own_part_folder(target) as part:
        yield part
        flush_tree_to_disk(part)
        try:
            part.rename(target)
        except OSError as error:
            if not target.exists():
                raise
            raise BundleError(there) from error  # another process was faster
