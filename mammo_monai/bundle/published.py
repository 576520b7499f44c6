"""The weights a bundle ships: where they lie, the hash its metadata declares, and whether they match it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mammo_monai.errors import BundleError, ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.inference.operating_point import OPERATING_POINTS
from mammo_monai.inference.training_look import STATISTICS
from mammo_monai.schema import read_operating_points
from mammo_monai.schema.json_text import json_value

WEIGHTS = "models/model.safetensors"
SUMS = "models/SHA256SUMS"
METADATA = "configs/metadata.json"
# Entry of a published file's metadata: the hash of the file that the training wrote.
TRAINED_SHA256 = "trained_sha256"


def declared_sha256(root: Path) -> str | None:
    """SHA-256 of the weights that the bundle's metadata declares; None where none are published.

    Raises:
        BundleError: metadata that are not JSON.
    """
    path = root / METADATA
    declared = json_object(path).get("weights_sha256") if path.is_file() else None
    return None if declared is None else str(declared)


def check_published(weights: str | Path) -> None:
    """Refuses the weights in a bundle's `models/` folder if its metadata declares others.

    Files anywhere else, and bundles that declare no weights, pass.

    Raises:
        WeightsError: the file is not the published one; the message names both hashes.
        BundleError: metadata that are not JSON.
    """
    path = Path(weights).absolute()
    root = path.parent.parent
    if path != root / WEIGHTS or not path.is_file():
        return
    declared = declared_sha256(root)
    if declared and (found := sha256_of(path)) != declared:
        raise WeightsError(
            f"{path}: not the published weights: expected SHA-256 {declared} ({METADATA}), got {found}. "
            "Fetch the file again. Weights of your own are named with --weights FILE (--init FILE to train), "
            "or published with `mammo-monai bundle publish`."
        )


def weights_state(root: Path) -> str:
    """A word or two on the weights of a bundle, for lists."""
    has_weights = (root / WEIGHTS).is_file()
    try:
        declared = declared_sha256(root)
    except BundleError:
        return "damaged metadata"  # `bundle check` says how; the others are listed
    if declared is None:
        return "trained" if has_weights else "no weights yet"
    return f"published {json_object(root / METADATA).get('version')}" if has_weights else "weights missing"


def publication_faults(root: Path) -> list[str]:
    """One sentence per published file of the bundle that is missing or not the one declared."""
    try:
        declared = declared_sha256(root)
    except BundleError:
        return []  # the check of metadata.json says it
    if declared is None:
        return []
    if not (root / WEIGHTS).is_file():
        return [f"{root.name}: {WEIGHTS} is missing, yet {METADATA} declares its SHA-256 {declared}."]
    found = sha256_of(root / WEIGHTS)
    faults = []
    if found != declared:
        faults.append(f"{root.name}: {WEIGHTS} has SHA-256 {found}, {METADATA} declares {declared}.")
    return faults + _points_faults(root, declared) + _sums_faults(root)


def expected_sums(root: Path) -> str:
    """What SHA256SUMS must hold for the published files there are, as `sha256sum -c` reads it."""
    files = [root / name for name in (WEIGHTS, OPERATING_POINTS, STATISTICS) if (root / name).is_file()]
    return "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BundleError: not JSON, or not an object.
    """
    try:
        content = json_value(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"{path}: not JSON: {error}. Fetch or write it again.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content


def _points_faults(root: Path, declared: str) -> list[str]:
    path = root / OPERATING_POINTS
    if not path.is_file():
        return []
    try:
        measured = read_operating_points(path).for_weights_sha256
    except ManifestError as error:
        return [f"{root.name}: {error}"]
    if measured == declared:
        return []
    return [f"{root.name}: {OPERATING_POINTS} is for weights {measured}, {METADATA} declares {declared}."]


def _sums_faults(root: Path) -> list[str]:
    sums = root / SUMS
    if sums.is_file() and sums.read_text(encoding="utf-8") == expected_sums(root):
        return []
    state = "does not hold the SHA-256 of the files beside it" if sums.is_file() else "is missing"
    return [f"{root.name}: {SUMS} {state}; `mammo-monai bundle publish` writes it."]
