"""Which files of a bundle travel to another site, and why the others stay: images, results, checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.bundle.packing.bundle_files import FolderFiles
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.bundle.packing.safe_names import name_fault
from mammo_monai.errors import BundleError

WHEEL_FOLDER = "wheel"
_WRITTEN_ANEW = (RECORD, f"{RECORD}.minisig")
_TEXTS = re.compile(
    r"(LICENSE|NOTICE)(\.md|\.txt)?|large_files\.(yml|yaml|json)"
    r"|configs/[\w.\-]+\.(json|yaml|yml|conf)|docs/[\w.\-/]+\.(md|txt)"
    r"|models/(README\.md|SHA256SUMS|(operating_points|training_statistics)\.json)"
    r"|models/model(_int8)?\.(onnx|xml)\.json"  # records of exported models
)
_WEIGHTS = re.compile(
    r"models/(?!checkpoint)[\w.\-]+\.safetensors|models/model\.(pt|pth)|models/model(_int8)?\.(onnx|xml|bin)"
)
RESULTS = ("eval", "training", "tensorboard", "runs", "overlays", "prepared", "mlruns", "logs")
_IMAGES = (
    ".dcm",
    ".dicom",
    ".ima",
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".bmp",
    ".gif",
    ".webp",
    ".jp2",
)
_VOLUMES = (".nii", ".gz", ".mha", ".mhd", ".nrrd", ".npy", ".npz", ".raw", ".pgm")
IMPORTED = (".py", ".pyc", ".pyw", ".pyd", ".so")
CODE = (
    *IMPORTED,
    ".dll",
    ".dylib",
    ".sh",
    ".bat",
    ".ps1",
    ".exe",
    ".ipynb",
    ".egg",
)
# Of this package's own files only these hold no image's name or record.
_OWN_SCHEMAS = ("mammo-monai/operating-points/", "mammo-monai/pack/")


@dataclass(frozen=True)
class Contents:
    """What travels, by name relative to the folder, and what stays, with the reason."""

    files: Mapping[str, Path]
    left_out: Mapping[str, str]


def bundle_contents(root: Path) -> Contents:
    """The files of the bundle in `root` that another site gets.

    Raises:
        BundleError: a link (what it leads to may be anything), wherever it lies; or a file that is code,
            outside of results and caches.
    """
    found = FolderFiles(root)
    if found.links:
        raise BundleError(
            f"{root.name}: {found.links[0]} is a link or no regular file; what it leads to could be "
            "anything. Put the file itself there, or remove the link, then pack again."
        )
    files, left_out = {}, {}
    for name in found.sizes:
        path = found.root / name
        reason = stays_because(name) or _content_reason(name, path)
        if name.lower().endswith(CODE) and not _is_cache(name):
            raise BundleError(
                f"{root.name}: {name} is code. A bundle holds configurations; put the code into a package "
                "that the other site installs, and name it in _target_, then pack again."
            )
        if reason is None:
            files[name] = path
        elif name not in _WRITTEN_ANEW and not name.startswith(f"{WHEEL_FOLDER}/"):
            left_out[name] = reason
    return Contents(files, left_out)


def stays_because(name: str) -> str | None:
    """Why a file of this name is no part of a bundle for others; None if it is one.

    >>> stays_because("configs/train.json")
    >>> stays_because("eval/detections.json")
    'results of a run'
    """
    if fault := name_fault(name):
        return f"its name {fault}"
    if name.split("/", maxsplit=1)[0] in RESULTS:
        return "results of a run"
    if _TEXTS.fullmatch(name) or _WEIGHTS.fullmatch(name):
        return None
    return _kind(name.lower())


def _kind(name: str) -> str:
    if name.endswith(_IMAGES + _VOLUMES):
        return "an image"
    if name.startswith("models/") and "checkpoint" in name:
        return "a training's checkpoint"
    if name.startswith("models/") and name.endswith((".pt", ".pth", ".ckpt", ".ts", ".onnx", ".pkl")):
        return "weights under a name that no configuration reads"
    return "no part of a bundle"


def _content_reason(name: str, path: Path) -> str | None:
    """Why a file stays although its name is right: it is not the text it should be, or lists images."""
    if not _TEXTS.fullmatch(name):
        return None
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "not text"
    if "\0" in text:
        return "not text"
    if name.endswith(".json") and name.startswith("configs/"):
        return _record_reason(text)
    return None


def _record_reason(text: str) -> str | None:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None  # `check_bundle` says it
    if not isinstance(content, dict):
        return None
    schema = str(content.get("schema", ""))
    if schema.startswith("mammo-monai/") and not schema.startswith(_OWN_SCHEMAS):
        return f"names images ({schema})"
    lists = [value for value in content.values() if isinstance(value, list)]
    if any(
        isinstance(each, dict) and {"image", "record_id"} & each.keys() for value in lists for each in value
    ):
        return "names images (a list of them)"
    return None


def _is_cache(name: str) -> bool:
    return "__pycache__" in name.split("/") or name.split("/", maxsplit=1)[0] in RESULTS
