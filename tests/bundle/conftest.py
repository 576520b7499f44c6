"""A copy of the light bundle without weights, and what a training of it would publish."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mammo_monai.bundle import find_bundle
from mammo_monai.bundle.packing.pack import pack_bundle
from mammo_monai.bundle.sync import format_config
from mammo_monai.data import manifest_path
from mammo_monai.files import sha256_of
from mammo_monai.networks import save_weights
from tests.bundle.light import LINEAGE, SETTINGS, edit, points_of, small_network
from tests.bundle.packs import publish_tiny


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the light bundle with a network of few channels and no weights."""
    ignored = shutil.ignore_patterns("models", "eval", "training")
    copy = Path(
        shutil.copytree(find_bundle("cbis_mass_detection"), tmp_path / "site" / "light", ignore=ignored)
    )
    for name in ("train.json", "inference.json"):
        path = copy / "configs" / name
        content = json.loads(path.read_text())
        content["network_def"]["fpn_channels"] = SETTINGS["fpn_channels"]
        path.write_text(format_config(content))
    edit(copy, lambda metadata: [metadata.pop(name, None) for name in ("weights_sha256", "weights_bytes")])
    return copy


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "training" / "model.safetensors"
    save_weights(small_network(), path, LINEAGE)
    return path


@pytest.fixture
def points(tmp_path: Path, trained: Path) -> Path:
    path = tmp_path / "operating_points.json"
    path.write_text(json.dumps(points_of(sha256_of(trained))))
    return path


@pytest.fixture
def pack(bundle: Path, tmp_path: Path) -> Path:
    publish_tiny(bundle)
    return pack_bundle(bundle, tmp_path / "pack.zip").path


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small phantoms, INbreast's layout: images in all three lists, of both classes in training and test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMO_MONAI_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("mammo_monai.data.phantoms.PIXEL_SPACING_MM", 0.8)
        return Path(manifest_path("phantoms:inbreast:5"))
