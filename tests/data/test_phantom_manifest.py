from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.data import phantoms
from mammo_monai.data.phantoms import cache_folder, phantom_manifest
from mammo_monai.errors import ManifestError
from mammo_monai.phantoms import LAYOUTS
from mammo_monai.schema import read_manifest


def test_cache_folder_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MAMMO_MONAI_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "mammo-monai"


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_phantoms_are_generated_once_and_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, layout: str
) -> None:
    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path))
    path = phantom_manifest(f"{layout}:3")
    manifest = read_manifest(path)
    assert len({record.patient_id for record in manifest.images()}) == 3
    assert sum(len(record.lesions) for record in manifest.images()) > 0
    assert "are synthetic: figures on them are not clinical figures" in caplog.text
    monkeypatch.delattr(phantoms, "write_phantoms")
    assert phantom_manifest(f"{layout}:3") == path


@pytest.mark.parametrize("request_text", ["moon", "", "LAYOUT:0", "LAYOUT:x", "LAYOUT:-1"])
def test_wrong_requests_name_the_layouts(request_text: str) -> None:
    text = request_text.replace("LAYOUT", sorted(LAYOUTS)[0])
    with pytest.raises(
        ManifestError, match=rf"phantoms:{text}: expected phantoms:LAYOUT .* {sorted(LAYOUTS)[0]}"
    ):
        phantom_manifest(text)


def test_default_number_of_patients() -> None:
    assert phantoms._parsed(sorted(LAYOUTS)[0]) == (sorted(LAYOUTS)[0], phantoms.DEFAULT_PATIENTS)
