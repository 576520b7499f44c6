"""The salt of record ids: fixed in phantoms, else a secret file beside the manifest."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import could_not_write
from mammo_monai.parts import own_part, part_name, remove_leftover
from mammo_monai.schema.json_text import json_value

PHANTOMS_FILE = "phantoms.json"


def dataset_salt(root: Path, manifest: Path, *, like: Path | None = None) -> str:
    """The salt for a data set: the one published in its phantoms.json, else the manifest's own.

    Args:
        root: the data set's folder, or a file in it.
        like: another manifest of the same images: its salt becomes this manifest's, so that both give each
            image the same record id.

    Raises:
        ManifestError: no data set; phantoms.json or the salt file is there but holds no salt; or `like` has
            no salt, or another one than the manifest has already.
    """
    if not root.exists():
        raise ManifestError(f"{root}: no such file or folder; expected the data set.")
    if not holds_phantoms(root):
        return salt_beside(manifest) if like is None else _salt_as_beside(like, manifest)
    published = _phantoms_file(root)
    try:
        salt = json_value(published.read_bytes())["salt"]
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{published}: expected JSON with a field 'salt': {error!r}.") from error
    return str(salt)


def holds_phantoms(root: Path) -> bool:
    """Whether the data set below `root`, or beside it if it is a file, is a synthetic one."""
    return _phantoms_file(root).is_file()


def _phantoms_file(root: Path) -> Path:
    return (root if root.is_dir() else root.parent) / PHANTOMS_FILE


def salt_beside(manifest: Path) -> str:
    """The text of `<manifest stem>.salt`; made on first use, at random, readable by its owner only.

    Without it nobody can match record ids to UIDs; with it, the same images get the same ids again.
    Two processes that make it at once end with the same salt.

    Raises:
        ManifestError: the file is there but empty.
    """
    path = manifest.with_suffix(".salt")
    if not path.exists():
        _create(path, secrets.token_hex(32))
    remove_leftover(path.with_name(part_name(path.name)))  # a kill may leave the salt under two names
    salt = path.read_text(encoding="utf-8").strip()
    if not salt:
        raise ManifestError(
            f"{path}: expected a salt, found an empty file. Restore it; a new one changes the record ids."
        )
    return salt


def _salt_as_beside(like: Path, manifest: Path) -> str:
    if not like.with_suffix(".salt").is_file():
        raise ManifestError(
            f"{like.with_suffix('.salt')}: no such file; expected the salt of {like.name}. Without it nobody "
            "can give images the same record ids again."
        )
    salt, path = salt_beside(like), manifest.with_suffix(".salt")
    if not path.exists():
        _create(path, salt)
    if salt_beside(manifest) != salt:
        raise ManifestError(
            f"{path}: holds another salt than {like.with_suffix('.salt')}. Write the manifest under another "
            "name, or delete that salt and the manifest made with it."
        )
    return salt


def _create(path: Path, salt: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create_in_its_folder(path, salt)
    except OSError as error:
        raise could_not_write(path, error) from error


def _create_in_its_folder(path: Path, salt: str) -> None:
    with own_part(path) as part:
        part.chmod(0o600)  # before there is content: no moment at which others may read it
        with part.open("w", encoding="utf-8") as stream:
            stream.write(salt + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        _move_unless_there(part, path)
        part.unlink(missing_ok=True)


def _move_unless_there(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:
        # File systems without hard links (exFAT, some network shares): no race-free way, a whole file still.
        part.replace(path)
