"""Every picture of the documentation has a script that makes it, in one list, and a page that shows it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from scripts.docs.pictures import COMMANDS

ROOT = Path(__file__).parents[2]
PICTURES = sorted(each.name for each in (ROOT / "docs" / "images").iterdir())
NOT_SHOWN = {"site.jpg"}  # the site itself, for who builds it


def test_the_list_holds_all_pictures_and_no_other() -> None:
    assert sorted(COMMANDS) == PICTURES


@pytest.mark.parametrize("picture", PICTURES)
def test_the_command_of_a_picture_writes_a_file_of_that_name(picture: str) -> None:
    script, *words = shlex.split(COMMANDS[picture])
    text = (ROOT / script).read_text(encoding="utf-8")
    family, _, own = picture.rpartition(".")[0].partition("-")
    whole = picture in text or f"docs/images/{picture}" in words
    assert whole or (f"{family}-{{" in text and f'"{own}"' in text), f"{script} does not name {picture}"


@pytest.mark.parametrize("picture", sorted({*PICTURES} - NOT_SHOWN))
def test_a_page_shows_the_picture(picture: str) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    assert any(f"images/{picture}" in page.read_text(encoding="utf-8") for page in pages)
