"""What must hold before a release is built: a clean tree, and one version and date, the same everywhere."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from pathlib import Path

from packaging.version import InvalidVersion, Version

VERSION = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)
SECTION = re.compile(r"^## (\S+) \(([^)]*)\)$", re.MULTILINE)


def git(root: Path, *words: str) -> str:
    """What git prints in the checkout.

    Raises:
        subprocess.CalledProcessError: git failed; its words are in `stderr`.
    """
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    return done.stdout


def version_of(root: Path) -> str:
    """The version in mammo_monai/__init__.py, the only place where it is kept by hand."""
    found = VERSION.search((root / "mammo_monai" / "__init__.py").read_text(encoding="utf-8"))
    return found.group(1) if found else ""


def readiness_faults(root: Path, version: str, today: date) -> list[str]:
    """What keeps this checkout from being released, each in a line; empty where nothing does."""
    return [
        *_version_faults(version),
        *_tree_faults(root),
        *_tag_faults(root, version),
        *_changelog_faults(root, version, today),
        *_citation_faults(root, version),
    ]


def _version_faults(version: str) -> list[str]:
    try:
        parsed = Version(version)
    except InvalidVersion:
        return [f"mammo_monai/__init__.py: expected a version such as 0.2.0, got {version!r}."]
    if parsed.is_devrelease or parsed.local or str(parsed) != version:
        return [f"mammo_monai/__init__.py: expected a plain version such as 0.2.0, got {version!r}."]
    return []


def _tree_faults(root: Path) -> list[str]:
    changed = git(root, "status", "--porcelain").splitlines()
    if not changed:
        return []
    return [
        f"the tree is not clean: {len(changed)} paths, first {changed[0].strip()!r}. Commit or remove them."
    ]


def _tag_faults(root: Path, version: str) -> list[str]:
    if git(root, "tag", "--list", f"v{version}").strip():
        return [f"the tag v{version} exists already: this version was released. Prepare the next one."]
    return []


def _changelog_faults(root: Path, version: str, today: date) -> list[str]:
    faults = []
    waiting = sorted(path.name for path in fragments(root))
    if waiting:
        faults.append(
            f"changelog.d: {len(waiting)} fragments wait, first {waiting[0]}. "
            f"Assemble them: python scripts/release/run.py prepare {version}"
        )
    section = SECTION.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if section is None or section.group(1) != version:
        said = section.group(1) if section else "no section"
        faults.append(f"CHANGELOG.md: expected {version} on top, got {said}.")
    elif not _is_past_day(section.group(2), today):
        faults.append(
            f"CHANGELOG.md: expected {version} (YYYY-MM-DD), no later than today, got {section.group(2)!r}."
        )
    return faults


def _is_past_day(text: str, today: date) -> bool:
    try:
        return date.fromisoformat(text) <= today
    except ValueError:
        return False


def fragments(root: Path) -> list[Path]:
    """The changelog fragments that wait: every file of changelog.d but its README."""
    return [path for path in (root / "changelog.d").glob("*") if path.name != "README.md"]


def _citation_faults(root: Path, version: str) -> list[str]:
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    faults = []
    said = re.search(r"^version: (.*)$", text, re.MULTILINE)
    if said is None or said.group(1) != version:
        faults.append(f"CITATION.cff: expected version: {version}, got {said.group(1) if said else 'none'}.")
    section = SECTION.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    day = re.search(r'^date-released: "(.*)"$', text, re.MULTILINE)
    if section and (day is None or day.group(1) != section.group(2)):
        faults.append(
            f'CITATION.cff: expected date-released: "{section.group(2)}", as CHANGELOG.md has it, '
            f"got {day.group(1) if day else 'none'}."
        )
    return faults
