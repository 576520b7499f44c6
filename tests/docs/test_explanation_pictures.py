"""Pictures of the explanation pages are those that their script draws, and each is shown by a page."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "docs" / "explanation_pictures.py"
    spec = importlib.util.spec_from_file_location("explanation_pictures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_of_the_script_is_shown_by_a_page(script: ModuleType) -> None:
    shown: set[str] = set()
    for page in (ROOT / "docs" / "explanation").glob("*.md"):
        shown |= set(re.findall(r"\]\(\.\./images/([\w-]+\.png)\)", page.read_text(encoding="utf-8")))
    assert set(script.PICTURES) <= shown


@pytest.mark.parametrize("name", ["data-flow.png", "coordinates.png", "freezing.png"])
def test_a_stored_picture_is_what_the_script_draws(name: str, script: ModuleType, tmp_path: Path) -> None:
    script.PICTURES[name](tmp_path / name)
    drawn, stored = (
        np.asarray(Image.open(path).convert("L"), dtype=float) for path in (tmp_path / name, IMAGES / name)
    )
    assert drawn.shape == stored.shape
    # Fonts may be drawn with other edges elsewhere; a box, a word or a share that changed moves far more.
    assert np.mean(np.abs(drawn - stored) > 64) < 0.002
