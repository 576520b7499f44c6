"""Puts trained weights into a bundle: half their bytes, with hashes and lineage in its metadata."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from mammo_monai.bundle.faults import own_error
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.half_precision import halved
from mammo_monai.bundle.lineage import model_description
from mammo_monai.bundle.published import (
    METADATA,
    SUMS,
    TRAINED_SHA256,
    WEIGHTS,
    expected_sums,
    json_object,
)
from mammo_monai.bundle.run import path_value
from mammo_monai.bundle.trust import admitted
from mammo_monai.bundle.trust.snapshot import merged
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.files import atomic_path, sha256_of, write_text_atomic
from mammo_monai.inference.operating_point import OPERATING_POINTS
from mammo_monai.locks import only_writer
from mammo_monai.networks import Network, WeightsFile, load_weights, read_weights
from mammo_monai.networks.weight_files import serialised_state
from mammo_monai.parts import remove_leftovers
from mammo_monai.schema import OperatingPoints, read_manifest, read_operating_points, write_operating_points
from mammo_monai.words import bytes_text

logger = logging.getLogger(__name__)

MAX_BYTES = 25_000_000
# What a training stores of its origin. Its validation's figure is left out: it has no rule and no interval.
_ORIGIN = (
    "bundle",
    "init",
    "init_sha256",
    "manifest_sha256",
    "freeze",
    "learning_rate",
    "seed",
    "recipe",
    "epoch",
)


@dataclass(frozen=True)
class Publication:
    """What was published: the file, its hash and size, and how many of its tensors stayed in float32."""

    weights: Path
    sha256: str
    n_bytes: int
    n_tensors: int
    n_float32: int
    version: str


def publish_bundle(
    bundle: str | Path,
    weights: Path,
    *,
    operating_points: Path | None = None,
    manifest: Path | None = None,
    version: str | None = None,
    is_large_allowed: bool = False,
    is_trusted: bool = False,
) -> Publication:
    """Writes weights, SHA256SUMS and operating points into `models/`, and metadata.json after them.

    The weights become float16 (see `halved`) and keep their origin; loading gives the network's float32.
    The same input gives the same bytes. Each file is written whole or not at all; a kill between two of them
    is seen by `bundle check` and mended by publishing again.

    Args:
        bundle: its folder or name, see `find_bundle`.
        weights: a file that this package's training wrote, for the network of the bundle's inference.json.
        operating_points: thresholds measured with these weights; the copy says which file it is for. None
            keeps those in the bundle that belong to the same weights.
        manifest: the training's own; the folds it was made from go into the lineage. None keeps those there
            of the same manifest.
        version: of the bundle; None keeps that of metadata.json. Its line in the changelog is written anew.
        is_large_allowed: above 25 MB, which git and package registries do not like.
        is_trusted: as `run_bundle`.

    Raises:
        WeightsError: the file is missing, damaged, of another network, or not written by a training.
        BundleError: no such bundle, weights of another recipe, too large, a version that is none, another
            manifest than the training's, or operating points in the bundle that belong to other weights.
        ManifestError: operating points or a manifest that break their format.
        OSError: a file cannot be written, or another process is publishing into the bundle.
    """
    root = find_bundle(bundle)
    with only_writer(root / WEIGHTS, doing="publishing into the bundle"):
        remove_leftovers(root / "configs")  # half a configuration would keep the bundle from being read
        old = _metadata(root)
        metadata = {**old, "version": _checked_version(root, version or str(old.get("version")))}
        file, network = _fitting(root, Path(weights), is_trusted)
        tensors = halved(network.state_dict())
        kept = {name: file.metadata[name] for name in _ORIGIN if name in file.metadata}
        kept[TRAINED_SHA256] = file.metadata.get(TRAINED_SHA256, file.sha256)
        folds = _folds(manifest, kept, old.get("lineage", {}))
        content = serialised_state(tensors, network.settings, kept)
        published = Publication(
            root / WEIGHTS,
            sha256(content).hexdigest(),
            len(content),
            len(tensors),
            sum(value.dtype == torch.float32 for value in tensors.values()),
            metadata["version"],
        )
        if not is_large_allowed:
            _check_size(weights, published.n_bytes)
        _warn_of_reuse(old, published)
        points = _points(root, operating_points, published.sha256, file)
        with atomic_path(published.weights) as part:
            part.write_bytes(content)
        if points is not None:
            write_operating_points(root / OPERATING_POINTS, points)
        write_text_atomic(root / SUMS, expected_sums(root))
        write_text_atomic(root / METADATA, _text(_described(metadata, published, kept, folds)))
        logger.info("published %s %s: %s", root.name, published.version, published.sha256)
        return published


def _check_size(weights: Path, n_bytes: int) -> None:
    if n_bytes > MAX_BYTES:
        raise BundleError(
            f"{weights}: {bytes_text(n_bytes)} as float16, expected at most {bytes_text(MAX_BYTES)}. Put the "
            "file elsewhere and name it in large_files.yml, or publish it anyway with --large."
        )


def _metadata(root: Path) -> dict[str, Any]:
    path = root / METADATA
    if not path.is_file():
        raise BundleError(f"{path}: is missing; a bundle without metadata cannot be published.")
    return json_object(path)


def _checked_version(root: Path, version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise BundleError(f"{root.name}: a version is three numbers such as 0.1.0, got {version!r}.")
    return version


def _fitting(root: Path, path: Path, is_trusted: bool) -> tuple[WeightsFile, Network]:
    """The file, and the bundle's network filled from it."""
    file = read_weights(path)
    if file.settings is None:
        raise WeightsError(
            f"{path}: not written by a training of this package (no network in its metadata). Publish the "
            "model.safetensors of `mammo-monai train`."
        )
    inference = root / "configs" / "inference.json"
    if not inference.is_file():
        raise BundleError(f"{inference}: is missing; it says which network the bundle predicts with.")
    snapshot, _ = admitted(root, is_trusted=is_trusted)
    parser = ConfigParser()
    parser.read_config(merged(snapshot, ["configs/inference.json"]))
    parser["bundle_root"] = path_value(root)
    try:
        network = parser.get_parsed_content("network_def")
        recipe = parser.get_parsed_content("recipe")
    except Exception as error:
        # MONAI wraps whatever a component raises, so no narrower class would catch the causes.
        raise own_error(error, f"{root.name}, inference.json", parser.get(), {}) from error
    load_weights(network, path)
    model_description(bundle_root=root, weights=path, recipe=recipe)
    return file, network


def _points(
    root: Path, path: Path | None, weights_sha256: str, trained: WeightsFile
) -> OperatingPoints | None:
    """The operating points to publish, or those that lie there for the same weights."""
    place = root / OPERATING_POINTS
    if path is None and not place.is_file():
        return None
    points = read_operating_points(path or place)
    if path is None and points.for_weights_sha256 != weights_sha256:
        raise BundleError(
            f"{place}: belongs to weights {points.for_weights_sha256}, not to these ({weights_sha256}). Give "
            "--operating-points FILE measured with these, or delete it."
        )
    own = {trained.sha256, trained.metadata.get(TRAINED_SHA256)}
    if not own & set(points.weights_sha256):
        logger.warning(
            "%s: measured with other weights (%s) than those published (%s): its thresholds may not hold.",
            path or place,
            ", ".join(str(each) for each in points.weights_sha256),
            trained.sha256,
        )
    return replace(points, for_weights_sha256=weights_sha256)


def _folds(manifest: Path | None, trained: Mapping[str, str], old: Mapping[str, Any]) -> object:
    """The folds that the training's manifest was made from; null where it was made from none."""
    expected = trained.get("manifest_sha256")
    if manifest is None:
        return old.get("folds") if old.get("manifest_sha256") == expected else None
    folds = read_manifest(manifest).about.get("folds")
    if (found := sha256_of(manifest)) != expected:
        raise BundleError(
            f"{manifest}: not the manifest of the training: expected SHA-256 {expected} (stored with the "
            f"weights), got {found}. Give the file that `mammo-monai train` read, unchanged."
        )
    return folds


def _warn_of_reuse(old: Mapping[str, Any], published: Publication) -> None:
    declared = old.get("weights_sha256")
    if declared not in (None, published.sha256) and published.version == old.get("version"):
        logger.warning(
            "version %s was published with other weights before (SHA-256 %s). If anybody has them, give "
            "these another --version.",
            published.version,
            declared,
        )


def _described(
    metadata: Mapping[str, Any], published: Publication, trained: Mapping[str, str], folds: object
) -> dict[str, Any]:
    """Metadata with version, changelog, lineage and the hash of what is published."""
    learning_rate, seed = trained.get("learning_rate"), trained.get("seed")
    version = published.version
    lineage = {
        **metadata.get("lineage", {}),
        "init": trained.get("init"),
        "parent_weights_sha256": trained.get("init_sha256") or None,
        "manifest_sha256": trained.get("manifest_sha256"),
        "folds": folds,
        "freeze": trained.get("freeze"),
        "learning_rate": None if learning_rate is None else _rates(learning_rate),
        "seed": None if seed is None else int(seed),
        "epoch": int(trained["epoch"]) if "epoch" in trained else None,
        "recipe": json.loads(trained.get("recipe", "{}")),
        "trained_weights_sha256": trained[TRAINED_SHA256],
    }
    note = f"weights of epoch {lineage['epoch']}, started from {lineage['init']}; SHA-256 {published.sha256}"
    return {
        **metadata,
        "changelog": {**metadata.get("changelog", {}), version: note},
        "lineage": lineage,
        "weights_sha256": published.sha256,
        "weights_bytes": published.n_bytes,
    }


def _rates(text: str) -> float | list[float]:
    """One rate, or those of all stages, as `training_lineage` writes them."""
    found = ast.literal_eval(text)
    return [float(each) for each in found] if isinstance(found, tuple) else float(found)


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=4, ensure_ascii=False) + "\n"
