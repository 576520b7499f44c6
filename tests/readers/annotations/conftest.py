from __future__ import annotations

from pathlib import Path

import pytest

from tests.readers.annotations.in_house import InHouse


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    return InHouse(tmp_path / "set")
