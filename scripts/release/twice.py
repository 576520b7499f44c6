"""Builds wheel and sdist of one commit twice, as two machines would, and compares.

The first build makes the wheel from the sdist, the second straight from its clone. Equal bytes prove two
things: the build is reproducible, and the sdist holds all that the wheel is made from.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Each of these has leaked into archives of other projects: time zone, language, hash order, file modes, path.
FIRST = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}
SECOND = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "4711"}
OLD = 1_000_000_000  # 2001: what the second clone's files say they were changed


class BuildError(RuntimeError):
    """A build failed, or two builds differ."""


@dataclass(frozen=True)
class Built:
    """What two builds agree on.

    Attributes:
        commit: whole hash. epoch: its time, seconds; SOURCE_DATE_EPOCH of the build.
    """

    wheel: Path
    sdist: Path
    commit: str
    epoch: int


def build_twice(root: Path, folder: Path) -> Built:
    """Wheel and sdist of the last commit of `root`.

    Raises:
        BuildError: a build failed, or the two differ; the message names the first entries that do.
    """
    commit = _run(["git", "-C", str(root), "rev-parse", "HEAD"]).strip()
    epoch = int(_run(["git", "-C", str(root), "log", "-1", "--format=%ct", commit]))
    one = _clone(root, commit, folder / "a", umask=0o022)
    two = _clone(root, commit, folder / "another" / "much longer path", umask=0o077)
    _age(two)
    first, second = folder / "first", folder / "second"
    environment = {"SOURCE_DATE_EPOCH": str(epoch)}
    uv_build(one, first, {**environment, **FIRST}, umask=0o022)
    uv_build(two, second, {**environment, **SECOND}, "--sdist", umask=0o077)
    uv_build(two, second, {**environment, **SECOND}, "--wheel", umask=0o077)
    pairs = [(_only(first, each), _only(second, each)) for each in ("*.whl", "*.tar.gz")]
    for mine, other in pairs:
        if sha256(mine) != sha256(other):
            raise BuildError(f"two builds of {mine.name} differ: {difference(mine, other)}")
    return Built(pairs[0][0], pairs[1][0], commit, epoch)


def sha256(path: Path) -> str:
    """Digest of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def difference(one: Path, two: Path) -> str:
    """The first entries of two wheels that differ, for a person to look at; of two sdists their names."""
    if one.suffix != ".whl":
        return f"compare {one} with {two}, entry by entry"
    with zipfile.ZipFile(one) as mine, zipfile.ZipFile(two) as other:
        entries, others = ({each.filename: each for each in archive.infolist()} for archive in (mine, other))
    alone = sorted(entries.keys() ^ others.keys())
    changed = [
        name
        for name in sorted(entries.keys() & others.keys())
        if any(
            getattr(entries[name], each) != getattr(others[name], each)
            for each in ("CRC", "date_time", "external_attr", "compress_size")
        )
    ]
    return f"in one alone: {alone[:5]}; changed: {changed[:5]}; order is compared too"


def _clone(root: Path, commit: str, target: Path, *, umask: int) -> Path:
    # no-hardlinks, file modes by the umask: nothing of the checkout itself reaches the clone.
    _run(["git", "clone", "--quiet", "--no-hardlinks", "--no-checkout", str(root), str(target)], umask=umask)
    _run(["git", "-C", str(target), "checkout", "--quiet", "--detach", commit], umask=umask)
    return target


def _age(clone: Path) -> None:
    for path in clone.rglob("*"):
        if ".git" not in path.relative_to(clone).parts and not path.is_symlink():
            os.utime(path, (OLD, OLD))


def uv_build(
    source: Path, out: Path, environment: Mapping[str, str], *words: str, umask: int = 0o022
) -> None:
    """Builds by uv at the versions of constraints.txt: `--sdist`, `--wheel`, or the second from the first."""
    command = [sys.executable, "-m", "uv", "build", *words, "--build-constraints", "constraints.txt"]
    command += ["--out-dir", str(out), "--no-create-gitignore"]
    try:  # from the cache, which the set-up filled
        _run([*command, "--offline"], source, environment, umask)
    except BuildError:
        _run(command, source, environment, umask)


def _run(
    command: list[str],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    umask: int = -1,
) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"{' '.join(command[:6])} … failed: {done.stdout[-300:]}{done.stderr[-1000:]}")
    return done.stdout


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise BuildError(f"{folder}: expected one {pattern}, found {[path.name for path in found]}.")
    return found[0]
