"""What the commands read, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.verbs import write_material


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films with a manifest, a data set, a scored run, bundles, DICOM files with detections."""
    return write_material(tmp_path_factory.mktemp("faults") / "material")
