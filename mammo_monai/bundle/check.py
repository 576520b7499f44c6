"""Says what keeps a folder from being a good bundle: missing files, metadata, ids, fat configurations."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from mammo_monai.bundle.published import publication_faults
from mammo_monai.schema.json_text import json_value

REQUIRED_FILES = (
    "LICENSE",
    "configs/metadata.json",
    "configs/train.json",
    "configs/evaluate.json",
    "configs/inference.json",
    "configs/logging.conf",
    "docs/README.md",
    "docs/data_license.txt",
)
REQUIRED_IDS = {
    "train.json": (
        "bundle_root",
        "manifest",
        "network_def",
        "train",
        "validate",
        "training",
        "run",
    ),
    "inference.json": (
        "bundle_root",
        "network_def",
        "preprocessing",
        "inferer",
        "inference",
        "run",
    ),
    "evaluate.json": ("evaluating", "run"),
}
# What answers with losses and with results: one of these in both files, see `networks.contract`.
MODELS = ("detector", "classifier")
MOST_LINES = 90


def check_bundle(root: Path) -> list[str]:
    """One sentence per fault of the bundle in `root`; an empty list if there is none.

    Checked: the files a bundle needs, metadata against the fields of MONAI's schema of 2024-07-25, the ids
    that tools look for, thinness (at most 90 lines per configuration, no lambda), and, where the metadata
    declare published weights, that these, their hashes and their operating points belong together.
    """
    missing = [f"{root.name}: {name} is missing." for name in REQUIRED_FILES if not (root / name).is_file()]
    faults = [fault for path in sorted((root / "configs").glob("*.json")) for fault in _config_faults(path)]
    return missing + faults + publication_faults(root)


def _config_faults(path: Path) -> list[str]:
    where = f"{path.parent.parent.name}/configs/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = json_value(text)
    except ValueError as error:  # not UTF-8 either
        return [f"{where}: not JSON: {error}."]
    if not isinstance(content, dict):
        return [f"{where}: expected a JSON object, got {type(content).__name__}."]
    if path.name == "metadata.json":
        return [f"{where}: {fault}" for fault in metadata_faults(content)]
    faults = [
        f"{where}: the id {name!r} is missing."
        for name in REQUIRED_IDS.get(path.name, ())
        if name not in content
    ]
    if path.name in ("train.json", "inference.json") and not any(name in content for name in MODELS):
        faults.append(f"{where}: an id {' or '.join(map(repr, MODELS))} is missing.")
    if text.count("\n") > MOST_LINES:
        faults.append(
            f"{where}: {text.count(chr(10))} lines, expected at most {MOST_LINES}; code holds decisions."
        )
    if "lambda" in text:
        faults.append(f"{where}: holds a lambda; put the decision into a function and name it.")
    return faults


def metadata_faults(metadata: dict[str, Any]) -> list[str]:
    """Faults of a bundle's metadata against the fields MONAI's schema asks for.

    Source: MONAI Bundle Specification, "metadata.json File"; fields of meta_schema_20240725.
    """
    schema = json.loads(
        resources.files("mammo_monai.bundle").joinpath("metadata_schema.json").read_text("utf-8")
    )
    validator = jsonschema.Draft7Validator(schema)
    return [
        f"{'/'.join(str(part) for part in error.path) or 'top level'}: {error.message}."
        for error in validator.iter_errors(metadata)
    ]
