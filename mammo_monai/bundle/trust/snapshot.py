"""A bundle's configurations as they are at one moment: what is inspected is what is parsed and run."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Any

from monai.bundle import ConfigParser
from monai.bundle.config_parser import yaml
from monai.bundle.utils import merge_kv
from monai.utils.misc import CheckKeyDuplicatesYamlLoader, check_key_duplicates

from mammo_monai.bundle.packing.bundle_files import FolderFiles, sha256_in
from mammo_monai.bundle.packing.contents import IMPORTED, RESULTS
from mammo_monai.errors import BundleError
from mammo_monai.words import bytes_text

_READ = (".json", ".yaml", ".yml", ".conf", ".ini", ".cfg")
_MOST_BYTES = 2_000_000
_CONFIGS = "configs"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Names of a bundle's files, and the bytes of those that a run evaluates; a `BundleFiles` for inspection.

    Attributes:
        contents: of configurations (`configs/`) and of texts beside them, by name relative to the folder.
        sizes: of all files but results of runs that are no code. links: never followed.
    """

    root: Path
    contents: Mapping[str, bytes]
    sizes: Mapping[str, int]
    links: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.root.name

    def open(self, name: str) -> IO[bytes]:
        """As `BundleFiles`; what was read comes from memory."""
        if name in self.contents:
            return io.BytesIO(self.contents[name])
        return FolderFiles.open_in(self.root, name)

    def text(self, name: str) -> str:
        """A configuration's text.

        Raises:
            BundleError: it is missing, or not UTF-8.
        """
        if name not in self.contents:
            raise BundleError(f"{self.root / name}: is missing; it says what the bundle is made of.")
        try:
            return self.contents[name].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.root / name}: not UTF-8: {error}. Fetch or write it again.") from error

    @cached_property
    def content_sha256(self) -> str:
        """One hash over names and bytes of all files but results of runs, and over where links lead."""
        lines = [f"{sha256_in(self, name)}  {name}\n" for name in sorted(self.sizes)]
        lines += [f"link  {name}  {_target(self.root / name)}\n" for name in sorted(self.links)]
        return sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def snapshot_of(root: Path) -> Snapshot:
    """Reads the configurations of the bundle in `root`, once.

    Raises:
        BundleError: configurations of more than 2 MB.
        OSError: a folder or file cannot be read.
    """
    root = Path(root).absolute()
    sizes, links = dict[str, int](), list[str]()
    for folder, folders, files in os.walk(root, onerror=_raise):
        for each in (*folders, *files):
            name = (Path(folder) / each).relative_to(root).as_posix()
            if _is_result(name):
                continue
            status = (Path(folder) / each).lstat()
            if stat.S_ISREG(status.st_mode):
                sizes[name] = status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                links.append(name)
    read = [name for name in sizes if _is_read(name)]
    if (total := sum(sizes[name] for name in read)) > _MOST_BYTES:
        most = bytes_text(_MOST_BYTES)
        raise BundleError(f"{root}: configurations of {bytes_text(total)}, expected at most {most}.")
    contents = {name: _content(root, name) for name in read}
    return Snapshot(root, contents, {**sizes, **_sizes(contents)}, tuple(sorted(links)))


def merged(snapshot: Snapshot, names: Sequence[str | Path]) -> dict[str, Any]:
    """The configurations as MONAI merges them: ids of later files replace or extend those of earlier ones.

    Args:
        names: relative to the bundle's folder; a path is a file of the user's own and is read now.

    Raises:
        BundleError: one is missing, or is no JSON (or YAML) object.
    """
    parser = ConfigParser(config={})
    for name in names:
        where = name if isinstance(name, Path) else snapshot.root / name
        text = _own_text(name) if isinstance(name, Path) else snapshot.text(name)
        for key, value in _parsed(text, where).items():
            merge_kv(parser, key, value)
    content: dict[str, Any] = parser.get()
    return content


def _parsed(text: str, where: Path) -> dict[str, Any]:
    try:
        if where.suffix.lower() == ".json":
            content = json.loads(text, object_pairs_hook=check_key_duplicates)
        else:
            content = yaml.load(text, CheckKeyDuplicatesYamlLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BundleError(f"{where}: expected JSON (or YAML) objects, but: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{where}: expected a JSON object, got {type(content).__name__}.")
    return content


def _own_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: not UTF-8: {error}.") from error


def _is_result(name: str) -> bool:
    """Whether a file is of a run here: it shuts nobody out, unless a trusted run could import it."""
    return name.split("/", maxsplit=1)[0] in RESULTS and not name.lower().endswith(IMPORTED)


def _is_read(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in _READ and (path.parts[0] == _CONFIGS or len(path.parts) == 1)


def _content(root: Path, name: str) -> bytes:
    with FolderFiles.open_in(root, name) as stream:
        return stream.read(_MOST_BYTES + 1)


def _sizes(contents: Mapping[str, bytes]) -> dict[str, int]:
    return {name: len(content) for name, content in contents.items()}


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return "no link"  # a pipe, a socket, a device


def _raise(error: OSError) -> None:
    raise error
