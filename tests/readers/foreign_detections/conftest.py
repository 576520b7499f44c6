from __future__ import annotations

from pathlib import Path

import pytest

from tests.readers.foreign_detections.scene import write_films


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_films(tmp_path)
