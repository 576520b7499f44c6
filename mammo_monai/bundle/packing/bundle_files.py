"""The files of a bundle, in a folder or a zip, read without unpacking anything and within limits."""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Protocol

from mammo_monai.bundle.packing.safe_names import clashes, is_bundle_name, name_fault
from mammo_monai.errors import BundleError
from mammo_monai.words import bytes_text

_BLOCK = 1 << 20
_MOST_ENTRY_BYTES = 1000  # in a zip's directory: 46, a name of 240 characters, what else zip programs note
_DIRECTORY_BYTES = 5  # where ZipFile's own record of the end has the directory's size


@dataclass(frozen=True)
class Limits:
    """What a stranger's pack may be at most; a pack of this package's largest bundle is about 160 MB."""

    n_files: int = 2000
    n_bytes: int = 4_000_000_000


DEFAULT_LIMITS = Limits()


class BundleFiles(Protocol):
    """A bundle's regular files, by name relative to its folder, and the links in it, which are never read."""

    @property
    def name(self) -> str:
        """Of the bundle."""
        ...

    @property
    def links(self) -> tuple[str, ...]:
        """Names of links, pipes and devices."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each file."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """The bytes of a file; the caller closes it."""
        ...


class FolderFiles:
    """A bundle in a folder; links are told, not followed."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self.name = self.root.name
        links, sizes = [], {}
        for folder, folders, files in os.walk(self.root, onerror=_raise):
            for each in (*folders, *files):
                path = Path(folder) / each
                name = path.relative_to(self.root).as_posix()
                mode = path.lstat().st_mode
                if stat.S_ISREG(mode):
                    sizes[name] = path.lstat().st_size
                elif not stat.S_ISDIR(mode):
                    links.append(name)  # and pipes, sockets, devices: nothing to read from either
        self.links = tuple(sorted(links))
        self.sizes: Mapping[str, int] = dict(sorted(sizes.items()))

    def open(self, name: str) -> IO[bytes]:
        """As `BundleFiles`; a link put there since is not followed."""
        return self.open_in(self.root, name)

    @staticmethod
    def open_in(root: Path, name: str) -> IO[bytes]:
        """A regular file below a folder.

        Raises:
            OSError: a link or no regular file, or it cannot be read.
        """
        # A pipe put there since would wait for its other end for ever.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        stream = os.fdopen(os.open(root / name, flags | getattr(os, "O_BINARY", 0)), "rb")
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            stream.close()
            raise OSError(errno.EINVAL, "no regular file", str(root / name))
        return stream


class ZipFiles:
    """A bundle in a zip that may come from a stranger: one folder of regular files, or it is refused.

    Raises:
        BundleError: as `open_bundle`.
    """

    links: tuple[str, ...] = ()

    def __init__(self, path: Path, archive: zipfile.ZipFile, limits: Limits) -> None:
        self.path, self._archive = path, archive
        infos = archive.infolist()
        if len(infos) > limits.n_files:
            raise BundleError(f"{path}: {len(infos)} entries, expected at most {limits.n_files}.")
        for info in infos:
            if fault := _entry_fault(info):
                raise BundleError(f"{path}: the entry {info.orig_filename!r} {fault}. Do not unpack it.")
        names = [info.filename for info in infos if not info.is_dir()]
        twice = [name for name in names if names.count(name) > 1] or clashes(names)
        if twice:
            raise BundleError(f"{path}: entries of one name: {twice[0]}. Do not unpack it.")
        tops = sorted({info.filename.split("/")[0] for info in infos})
        if len(tops) != 1 or not is_bundle_name(tops[0]) or tops[0] in names:
            raise BundleError(
                f"{path}: expected one folder, the bundle's, got {', '.join(tops[:5]) or 'none'}."
            )
        total = sum(info.file_size for info in infos)
        if total > limits.n_bytes:
            raise BundleError(
                f"{path}: {bytes_text(total)} unpacked, expected at most {bytes_text(limits.n_bytes)}."
            )
        self.name = tops[0]
        self._infos = {
            info.filename.removeprefix(f"{self.name}/"): info
            for info in sorted(infos, key=lambda each: each.filename)
            if not info.is_dir()
        }
        self.sizes: Mapping[str, int] = {name: info.file_size for name, info in self._infos.items()}

    def open(self, name: str) -> IO[bytes]:
        """As `BundleFiles`."""
        try:
            return self._archive.open(self._infos[name])
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
            if isinstance(error, OSError) and not _is_damage(error):
                raise
            raise BundleError(f"{self.path}, {name}: cannot be read: {error}. Get the pack again.") from error


@contextmanager
def open_bundle(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[BundleFiles]:
    """The files of a folder or a zip; closes the zip afterwards.

    Raises:
        BundleError: neither; or a zip with absolute names, names that lead out of its folder, links, entries
            of one name, encrypted entries, more than one folder, or more than the limits.
    """
    path = Path(path)
    if path.is_dir():
        yield FolderFiles(path)
        return
    if not path.is_file():
        raise BundleError(
            f"{path}: no such file or folder. Give a bundle's folder or a zip made by bundle pack."
        )
    try:
        _check_directory(path, limits)
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and not _is_damage(error):
            raise
        raise BundleError(f"{path}: not a whole zip file: {error}. Get the pack again.") from error
    with archive:
        yield ZipFiles(path, archive, limits)


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuses a zip whose list of entries is too long, before Python makes an object of each of them.

    Raises:
        BundleError: it is. What else may be wrong is said by whoever opens the zip.
    """
    find: Any = getattr(zipfile, "_EndRecData", None)  # what ZipFile itself finds and believes
    with path.open("rb") as stream:
        end = None if find is None else find(stream)
    most = limits.n_files * _MOST_ENTRY_BYTES
    if end is not None and end[_DIRECTORY_BYTES] > most:
        size = bytes_text(end[_DIRECTORY_BYTES])
        raise BundleError(f"{path}: a list of entries of {size}, expected at most {bytes_text(most)}.")


def _is_damage(error: OSError) -> bool:
    """Whether the file is at fault, not the disk: offsets that lie make seeks before its start (EINVAL)."""
    return error.errno in (None, errno.EINVAL)


def blocks(files: BundleFiles, name: str) -> Iterator[bytes]:
    """A file's bytes, never more than its size says, whatever a compressed entry holds.

    Raises:
        BundleError: damaged, or longer or shorter than it says.
    """
    left = files.sizes[name]
    try:
        with files.open(name) as stream:
            while block := stream.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise BundleError(f"{name}: cannot be read: {error}. Get the pack again.") from error
    except OSError as error:
        if not _is_damage(error):
            raise
        raise BundleError(f"{name}: cannot be read: {error}. Get the pack again.") from error
    except Exception as error:  # zlib.error and lzma's own derive from nothing narrower
        if type(error).__module__ not in ("zlib", "_lzma", "lzma"):
            raise
        raise BundleError(f"{name}: damaged: {error}. Get the pack again.") from error
    if left:
        raise BundleError(
            f"{name}: is not as long as it says ({files.sizes[name]} bytes). Get the pack again."
        )


def read_bytes(files: BundleFiles, name: str, limit: int) -> bytes:
    """A small file's bytes.

    Raises:
        BundleError: larger than `limit`, or as `blocks`.
    """
    if files.sizes[name] > limit:
        size = bytes_text(files.sizes[name])
        raise BundleError(f"{name}: {size}, expected at most {bytes_text(limit)}.")
    return b"".join(blocks(files, name))


def sha256_in(files: BundleFiles, name: str) -> str:
    """Hexadecimal SHA-256 of a file's bytes; raises as `blocks`."""
    digest = sha256()
    for block in blocks(files, name):
        digest.update(block)
    return digest.hexdigest()


def _entry_fault(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x1:
        return "is encrypted"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    if info.orig_filename != info.filename and "\0" in info.orig_filename:
        return "holds control or invisible characters"
    fault = name_fault(info.filename.removesuffix("/"))
    if fault is None and "\\" in info.orig_filename:
        return "holds a backslash, which some systems take for a path"
    return fault


def _raise(error: OSError) -> None:
    raise error
