"""Weights: of bundles against what they declare, and what their trainings start from."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from mammo_monai.bundle_homes import bundle_folders
from mammo_monai.doctor import weights
from mammo_monai.doctor.findings import Level
from mammo_monai.doctor.weights import (
    PUBLISHED,
    Published,
    bundle_findings,
    cached_finding,
    findings,
    start_findings,
    torch_cache,
)

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def bundle(root: Path, name: str, **changes: object) -> Path:
    """A bundle with these values in train.json, and `declared` and `content` of its weights."""
    folder = root / name
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    about = {"version": "1.0.0", **({"weights_sha256": changes["declared"]} if "declared" in changes else {})}
    (folder / "configs" / "metadata.json").write_text(json.dumps(about))
    network = {
        "_target_": "mammo_monai.networks.retinanet_network",
        "backbone": changes.get("backbone", "resnet50"),
    }
    train = {"init": changes.get("init", "none"), "network_def": network}
    (folder / "configs" / "train.json").write_text(json.dumps(train))
    if "content" in changes:
        (folder / "models" / "model.safetensors").write_bytes(CONTENT)
    return folder


def test_all_is_well_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = list(findings({}))
    assert [each for each in found if each.level is not Level.OK] == []
    assert len(found) > 3


def test_the_published_files_are_those_that_training_fetches() -> None:
    from torchvision.models import ResNet50_Weights
    from torchvision.models.detection import (
        FasterRCNN_ResNet50_FPN_Weights,
        RetinaNet_ResNet50_FPN_V2_Weights,
    )

    fetched = (
        RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1,
        FasterRCNN_ResNet50_FPN_Weights.COCO_V1,
        ResNet50_Weights.IMAGENET1K_V1,
    )
    ours = {f"{weights._HOST}{each.name}": each.megabytes for each in PUBLISHED.values()}
    assert ours.keys() == {each.url for each in fetched}
    for each in fetched:
        assert ours[each.url] == pytest.approx(each.meta["_file_size"], abs=1)


def test_every_shipped_bundle_has_a_start_that_is_known(tmp_path: Path) -> None:
    needed = " ".join(
        each.found.partition(": for ")[2] for each in start_findings(bundle_folders(), tmp_path)
    )
    started = {name for name in bundle_folders() if name in needed}
    with_parent = {"inbreast_mass_detection"}  # its parent's weights are in the box
    assert set(bundle_folders()) - started <= with_parent | {"local"}


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"declared": SHA256, "content": True}, "ok", "published, version 1.0.0"),
        ({"content": True}, "ok", "own weights, not published"),
        ({"declared": "0" * 64, "content": True}, "fault", "000000000000… is declared"),
        ({"declared": SHA256}, "fault", "model.safetensors is missing"),
    ],
)
def test_weights_are_those_declared(
    tmp_path: Path, changes: dict[str, object], level: str, said: str
) -> None:
    (found,) = bundle_findings("mine", bundle(tmp_path, "mine", **changes))
    assert found.level.value == level
    assert said in found.found
    assert bool(found.fix) == (level == "fault")


def test_a_bundle_without_weights_says_nothing_and_a_broken_one_is_a_fault(tmp_path: Path) -> None:
    folder = bundle(tmp_path, "mine")
    assert list(bundle_findings("mine", folder)) == []
    (folder / "configs" / "metadata.json").write_text("{")
    (broken,) = bundle_findings("mine", folder)
    assert (broken.level, broken.fix) == (Level.FAULT, "mammo-monai bundle check mine")


def test_weights_that_cannot_be_read_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    folder = bundle(tmp_path, "mine", content=True)
    monkeypatch.setattr(weights, "_sha256", refuse)
    (own,) = bundle_findings("mine", folder)
    cached = cached_finding(Published(f"net-{SHA256[:8]}.pth", 7), tmp_path, ["mine"])
    for each in (own, cached):
        assert each.level is Level.FAULT
        assert each.found.endswith("cannot be read: Permission denied")
        assert each.fix.startswith("ls -l ")


def test_torchs_cache_of_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert torch_cache() == Path("~/.cache/torch/hub/checkpoints")


def test_no_bundles_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "bundle_folders", dict)
    assert [each.level for each in findings({})] == [Level.FAULT]


def test_published_weights_in_the_cache_are_checked(tmp_path: Path) -> None:
    file = Published(f"net-{SHA256[:8]}.pth", 7)
    missing = cached_finding(file, tmp_path, ["a", "b"])
    assert (missing.level, missing.found) == (Level.OK, f"{file.name}, 7 MB to fetch: for a, b")
    assert missing.fix == f"curl --create-dirs -o {tmp_path}/{file.name} {weights._HOST}{file.name}"
    (tmp_path / file.name).write_bytes(CONTENT)
    assert "in the cache, whole: for a" in cached_finding(file, tmp_path, ["a"]).found
    (tmp_path / file.name).write_bytes(CONTENT[:3])
    cut = cached_finding(file, tmp_path, ["a"])
    assert (cut.level, cut.fix) == (Level.FAULT, f"rm {tmp_path}/{file.name}")


def test_starts_are_told_once_with_all_that_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        "first": bundle(tmp_path, "first", init="coco"),
        "same": bundle(tmp_path, "same", init="coco"),
        "second": bundle(tmp_path, "second", init="first"),
        "light": bundle(tmp_path, "light", init="imagenet", backbone="efficientnet_lite0"),
        "bare": bundle(tmp_path, "bare"),
        "odd": tmp_path / "nowhere",
    }
    monkeypatch.setitem(sys.modules, weights._LITE0, None)
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    found = {each.found.partition(": for ")[2]: each for each in start_findings(made, tmp_path)}
    assert found.keys() == {"first, same", "second", "light"}
    assert found["second"].found == "of first, none yet: for second"
    assert "mammo-monai[imagenet]" in found["light"].fix


def test_the_cache_is_where_torch_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for name, value in (("TORCH_HOME", "/data/torch"), ("XDG_CACHE_HOME", "/data/cache")):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(torch.hub, "_hub_dir", None)
        assert torch_cache() == Path(torch.hub.get_dir()) / "checkpoints"
