"""One small phantom set of each layout, coarse so that all tests together take seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.phantoms import write_phantoms

SPACING_MM = 0.6


@pytest.fixture(scope="session")
def film_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("film") / "set"
    return write_phantoms(root, layout="cbis-ddsm", patients=7, seed=5, pixel_spacing_mm=SPACING_MM)


@pytest.fixture(scope="session")
def digital_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("digital") / "set"
    return write_phantoms(root, layout="inbreast", patients=12, seed=5, pixel_spacing_mm=SPACING_MM)
