from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.data import manifest_path, manifests
from mammo_monai.errors import ManifestError


def test_file_and_its_folder_mean_the_same_manifest(manifest: Path) -> None:
    assert manifest_path(manifest) == manifest_path(str(manifest.parent)) == str(manifest)


def test_phantoms_mean_their_generated_manifest(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "phantom_manifest", {"film:2": manifest}.__getitem__)
    assert manifest_path("phantoms:film:2") == str(manifest)


def test_missing_manifest_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.json: no such manifest\. Give --manifest FILE"):
        manifest_path(tmp_path)
