"""Where weights come from: the start a bundle names, its parent's weights, and the record of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.published import TRAINED_SHA256, WEIGHTS, check_published, json_object
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.inference.runtimes import note_exported_models
from mammo_monai.networks.contract import Network
from mammo_monai.networks.weight_files import read_weights
from mammo_monai.networks.weights import initialise

N = TypeVar("N", bound=Network)


class Trained(Protocol):
    """What a run trains, and how fast."""

    @property
    def freeze(self) -> str:
        """A policy of `apply_freezing`, or those of all stages."""
        ...

    @property
    def learning_rate(self) -> float | tuple[float, ...]:
        """One rate, or one per stage."""
        ...


PUBLISHED = ("coco", "imagenet", "none")
_KEPT = ("init", "init_sha256", "manifest_sha256", "freeze", "epoch", "recipe", TRAINED_SHA256)


def initialised_network(
    network: N, init: str, bundle_root: str | Path, device: torch.device | str = "cpu"
) -> N:
    """The network with its starting weights, on a device.

    Args:
        init: `coco`, `imagenet`, `none`, a weights file, or the name or folder of the bundle whose trained
            weights are the start (the parent stage).
        bundle_root: the bundle that trains; a parent is looked for beside it first.

    Raises:
        WeightsError: weights are missing, damaged or of another architecture, or a bundle's `models/` folder
            holds others than its metadata declares. BundleError: no such parent.
    """
    start = str(resolve_init(init, bundle_root))
    if start not in PUBLISHED:
        check_published(start)
    started = initialise(network, start)
    if start not in PUBLISHED:
        note_exported_models(started, Path(start).parent)
    # Channels last: a forward pass of 1024 × 832 px on two CPU cores takes 0.80 of the time in float32,
    # 0.38 in bfloat16.
    return started.to(device).to(memory_format=torch.channels_last)


def resolve_init(init: str, bundle_root: str | Path) -> str | Path:
    """`init` itself where it is published or a file, else the weights of the bundle it names.

    Raises:
        WeightsError: no such file, or the bundle has no weights. BundleError: no such bundle.
    """
    if init in PUBLISHED or Path(init).is_file():
        return init
    if Path(init).suffix in (".safetensors", ".pt", ".pth"):
        raise WeightsError(
            f"no weights file at {init}. Train the bundle first (`mammo-monai train`), or name a file: "
            "--weights to predict; --init to train, which takes coco, imagenet, none and bundles as well."
        )
    beside = Path(bundle_root).absolute().parent / init
    try:
        parent = beside if (beside / "configs").is_dir() else find_bundle(init)
    except BundleError as error:
        raise BundleError(
            f"init: expected coco, imagenet, none, a weights file or a bundle; {error}"
        ) from error
    weights = parent / WEIGHTS
    if not weights.is_file():
        raise WeightsError(
            f"init: the parent stage {init} has no weights at {weights}. Train it first "
            f"(`mammo-monai train --bundle {parent}`) and, if it trains into another folder, name "
            "the file with --init FILE; or give --init coco, imagenet or none."
        )
    return weights


def training_lineage(
    *,
    bundle_root: str | Path,
    init: str,
    manifest: str | Path,
    settings: Trained,
    seed: int,
    recipe: Mapping[str, object],
    plan: object = None,
) -> dict[str, str]:
    """What a run's weights rest on; stored with them and compared before a run goes on.

    Args:
        settings: what is trained how fast: `networks.training_settings` or `engines.training_stages`.
        recipe: how images are prepared, the same for training and prediction: preset, size, intensity.
        plan: a dataclass that says which patches are cut, or None.

    Returns:
        bundle, init, init_sha256 ("" for published or random weights), manifest_sha256 (the words themselves
        where `manifest` is no file), freeze, learning_rate, seed, recipe (JSON); plan (JSON) where there is
        one.

    Raises:
        WeightsError, BundleError: as `resolve_init`.
    """
    start = resolve_init(init, bundle_root)
    return {
        "bundle": Path(bundle_root).absolute().name,
        "init": Path(init).name,
        "init_sha256": "" if start in PUBLISHED else sha256_of(Path(start)),
        "manifest_sha256": sha256_of(Path(manifest)) if Path(manifest).is_file() else str(manifest),
        "freeze": settings.freeze,
        "learning_rate": repr(settings.learning_rate),
        "seed": str(seed),
        "recipe": json.dumps(dict(recipe), sort_keys=True),
        **({} if plan is None else {"plan": json.dumps(asdict(cast(Any, plan)), sort_keys=True)}),
    }


def model_description(
    *, bundle_root: str | Path, weights: str | Path, recipe: Mapping[str, object]
) -> dict[str, str]:
    """What detections.json says of the model: bundle, version, weight hash, the lineage stored with weights.

    Raises:
        BundleError: the weights were trained on images prepared by another recipe.
        WeightsError: no such file, or it cannot be read.
    """
    file = read_weights(Path(weights))
    trained = json.loads(file.metadata.get("recipe", "{}"))
    changed = {name: value for name, value in trained.items() if recipe.get(name) != value}
    if changed:
        asked = ", ".join(f"{name} {recipe.get(name)}" for name in changed)
        remedy = " ".join(f"--{name} {value}" for name, value in changed.items())
        raise BundleError(f"{weights} was trained with {remedy}, but asked for is {asked}. Give {remedy}.")
    kept = {name: file.metadata[name] for name in _KEPT if name in file.metadata}
    return {**_named(Path(bundle_root).absolute()), "weights_sha256": file.sha256, **kept}


def _named(bundle: Path) -> dict[str, str]:
    """Its name, and its version where metadata.json is there to say it."""
    metadata = bundle / "configs" / "metadata.json"
    version = json_object(metadata).get("version") if metadata.is_file() else None
    return {"bundle": bundle.name, **({"version": str(version)} if version else {})}
