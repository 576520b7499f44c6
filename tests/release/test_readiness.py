"""Before a release: one version, one date, a clean tree, and a line for whatever is not so."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.release.repository import git

TODAY = date(2026, 1, 3)


def test_a_tree_that_is_ready_has_no_fault(release: Any, small: Path) -> None:
    assert release.readiness.version_of(small) == "0.2.0"
    assert release.readiness.readiness_faults(small, "0.2.0", TODAY) == []


def test_a_changed_tree_is_not_ready(release: Any, small: Path) -> None:
    (small / "new.txt").write_text("new")
    assert release.readiness.readiness_faults(small, "0.2.0", TODAY) == [
        "the tree is not clean: 1 paths, first '?? new.txt'. Commit or remove them."
    ]


def test_a_version_is_released_once(release: Any, small: Path) -> None:
    git(small, "tag", "v0.2.0")
    (fault,) = release.readiness.readiness_faults(small, "0.2.0", TODAY)
    assert fault == "the tag v0.2.0 exists already: this version was released. Prepare the next one."


@pytest.mark.parametrize("version", ["", "two", "0.2.0.dev1", "0.2.0+here", "v0.2.0", "00.2"])
def test_what_is_no_plain_version_is_not_released(release: Any, small: Path, version: str) -> None:
    fault = release.readiness.readiness_faults(small, version, TODAY)[0]
    assert fault.startswith("mammo_monai/__init__.py: expected a")
    assert repr(version) in fault


@pytest.mark.parametrize(
    ("path", "old", "new", "fault"),
    [
        ("CHANGELOG.md", "## 0.2.0", "## 0.1.9", "CHANGELOG.md: expected 0.2.0 on top, got 0.1.9."),
        ("CHANGELOG.md", "## 0.2.0 (2026-01-02)", "", "CHANGELOG.md: expected 0.2.0 on top, got no section."),
        ("CHANGELOG.md", "2026-01-02", "unreleased", "no later than today, got 'unreleased'."),
        ("CHANGELOG.md", "2026-01-02", "2026-01-04", "no later than today, got '2026-01-04'."),
        ("CITATION.cff", "0.2.0", "0.1.9", "CITATION.cff: expected version: 0.2.0, got 0.1.9."),
        ("CITATION.cff", "version: 0.2.0\n", "", "CITATION.cff: expected version: 0.2.0, got none."),
        ("CITATION.cff", "01-02", "01-01", 'expected date-released: "2026-01-02", as CHANGELOG.md has it, '),
        ("CITATION.cff", 'date-released: "2026-01-02"', "", "as CHANGELOG.md has it, got none."),
    ],
)
def test_each_place_that_says_another_version_or_day_is_named(
    release: Any, small: Path, path: str, old: str, new: str, fault: str
) -> None:
    text = (small / path).read_text(encoding="utf-8")
    assert old in text
    (small / path).write_text(text.replace(old, new), encoding="utf-8")
    git(small, "commit", "--all", "--quiet", "--message", "changed")
    found = release.readiness.readiness_faults(small, "0.2.0", TODAY)
    assert any(fault in each for each in found), found


def test_waiting_fragments_are_not_ready(release: Any, small: Path) -> None:
    (small / "changelog.d" / "7.fix.md").write_text("Right boxes.\n")
    git(small, "add", "--all")
    git(small, "commit", "--quiet", "--message", "a fragment")
    (fault,) = release.readiness.readiness_faults(small, "0.2.0", TODAY)
    assert fault == (
        "changelog.d: 1 fragments wait, first 7.fix.md. "
        "Assemble them: python scripts/release/run.py prepare 0.2.0"
    )
