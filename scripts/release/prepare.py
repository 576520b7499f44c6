"""The texts of a release: version, changelog from its fragments, citation. All by file, nothing committed."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from packaging.version import InvalidVersion, Version
from readiness import VERSION, fragments, version_of


class PrepareError(RuntimeError):
    """The texts of a release could not be written."""


def prepare(root: Path, version: str, day: date) -> list[Path]:
    """Writes version, changelog and citation; returns the files it wrote.

    Fragments are taken from changelog.d and removed there, as towncrier does.

    Raises:
        PrepareError: no version, or an older one than the present; no fragment waits; towncrier failed.
    """
    _check(root, version)
    package, changelog, citation = (
        root / each for each in ("mammo_monai/__init__.py", "CHANGELOG.md", "CITATION.cff")
    )
    assemble(root, version, day)
    _replace(package, VERSION.pattern, f'__version__ = "{version}"')
    text = citation.read_text(encoding="utf-8")
    text = re.sub(r"^date-released: .*\n", "", text, flags=re.MULTILINE)
    citation.write_text(text, encoding="utf-8")
    _replace(citation, r"^version: .*$", f'version: {version}\ndate-released: "{day.isoformat()}"')
    return [package, changelog, citation]


def assemble(root: Path, version: str, day: date) -> None:
    """The fragments of changelog.d as a section of CHANGELOG.md, by towncrier.

    Raises:
        PrepareError: towncrier failed.
    """
    command = [sys.executable, "-m", "towncrier", "build", "--yes", "--version", version]
    command += ["--date", day.isoformat()]
    # In the checkout: it stages what it wrote and removed there.
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrepareError(f"towncrier failed: {done.stdout[-500:]}{done.stderr[-500:]}")


def _check(root: Path, version: str) -> None:
    try:
        wanted, present = Version(version), Version(version_of(root))
    except InvalidVersion as error:
        raise PrepareError(f"expected versions such as 0.2.0: {error}.") from error
    if str(wanted) != version or wanted < present:
        raise PrepareError(f"expected a plain version, {present} or later, got {version!r}.")
    if not fragments(root):
        raise PrepareError("changelog.d holds no fragment: nothing has changed, or it is assembled already.")


def _replace(path: Path, pattern: str, line: str) -> None:
    text, n = re.subn(pattern, lambda _: line, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if n != 1:
        raise PrepareError(f"{path}: expected one line like {pattern!r}, found {n}.")
    path.write_text(text, encoding="utf-8")
