"""prepare writes version, changelog and citation, and then the tree is ready but for its commit."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.release.repository import git

DAY = date(2026, 1, 3)


@pytest.fixture
def waiting(small: Path) -> Path:
    """The small repository with three changes that wait."""
    (small / "changelog.d" / "7.fix.md").write_text("Boxes of right breasts lie where they should.\n")
    (small / "changelog.d" / "8.change.md").write_text("Scores are calibrated.\n")
    (small / "changelog.d" / "+colour.feature.md").write_text("Marks in any colour.\n")
    git(small, "add", "--all")
    git(small, "commit", "--quiet", "--message", "changes")
    return small


def test_prepare_makes_the_next_version_ready(release: Any, waiting: Path) -> None:
    written = release.prepare.prepare(waiting, "0.3.0", DAY)
    assert [path.name for path in written] == ["__init__.py", "CHANGELOG.md", "CITATION.cff"]
    assert release.readiness.version_of(waiting) == "0.3.0"
    faults = release.readiness.readiness_faults(waiting, "0.3.0", DAY)
    assert len(faults) == 1
    assert faults[0].startswith("the tree is not clean")
    git(waiting, "add", "--all")
    git(waiting, "commit", "--quiet", "--message", "0.3.0")
    assert release.readiness.readiness_faults(waiting, "0.3.0", DAY) == []


def test_the_changelog_has_its_kinds_in_order_above_the_version_before(release: Any, waiting: Path) -> None:
    release.prepare.prepare(waiting, "0.3.0", DAY)
    text = (waiting / "CHANGELOG.md").read_text(encoding="utf-8")
    order = [
        "## 0.3.0 (2026-01-03)",
        "### Changed",
        "- Scores are calibrated. (#8)",
        "### New",
        "- Marks in any colour.\n",
        "### Fixed",
        "- Boxes of right breasts lie where they should. (#7)",
        "## 0.2.0 (2026-01-02)",
    ]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    assert [path.name for path in (waiting / "changelog.d").iterdir()] == ["README.md"]


def test_the_first_release_keeps_the_version_it_has(release: Any, waiting: Path) -> None:
    release.prepare.prepare(waiting, "0.2.0", DAY)
    citation = (waiting / "CITATION.cff").read_text(encoding="utf-8")
    assert citation.count("version: 0.2.0") == citation.count('date-released: "2026-01-03"') == 1


@pytest.mark.parametrize("version", ["0.1.9", "0.3", "v0.3.0", "next"])
def test_versions_go_up_and_are_written_out(release: Any, waiting: Path, version: str) -> None:
    if version == "0.3":
        version = "0.3.00"
    with pytest.raises(
        release.prepare.PrepareError, match=r"expected (a plain version, 0\.2\.0|versions such)"
    ):
        release.prepare.prepare(waiting, version, DAY)


def test_without_a_change_there_is_no_release(release: Any, small: Path) -> None:
    with pytest.raises(release.prepare.PrepareError, match=r"changelog\.d holds no fragment"):
        release.prepare.prepare(small, "0.3.0", DAY)


def test_a_citation_without_a_version_is_an_error(release: Any, waiting: Path) -> None:
    (waiting / "CITATION.cff").write_text("title: mammo-monai\n")
    with pytest.raises(release.prepare.PrepareError, match=r"CITATION\.cff: expected one line"):
        release.prepare.prepare(waiting, "0.3.0", DAY)


def test_a_changelog_that_towncrier_refuses_is_an_error(release: Any, waiting: Path) -> None:
    (waiting / "pyproject.toml").write_text("[")
    with pytest.raises(release.prepare.PrepareError, match="towncrier failed"):
        release.prepare.prepare(waiting, "0.3.0", DAY)


def test_the_command_says_what_it_wrote(
    release: Any, waiting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.run.main(["--root", str(waiting), "prepare", "0.3.0", "--date", "2026-01-03"]) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith("commit them, then: python scripts/release/run.py build")
    )
    assert release.run.main(["--root", str(waiting), "prepare", "0.3.0"]) == 1
    assert "release: changelog.d holds no fragment" in capsys.readouterr().err
