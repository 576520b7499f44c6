"""Fine-tunes a bundle on a site's corrected boxes; the result is a new version of weights beside its own."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammo_monai.apps.labelled_manifest import labelled_manifest
from mammo_monai.apps.marking import first_text, usable_device
from mammo_monai.apps.weight_versions import SHIPPED, WEIGHTS_NAME, WeightVersions
from mammo_monai.bundle import find_bundle, path_value, run_bundle
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.schema import Manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

# A fine-tuning starts near its goal; a tenth of the rate the weights were trained with. No source is known.
RATE_FRACTION = 0.1
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class TuningOptions:
    """How to fine-tune.

    Attributes:
        weights: the start: `shipped`, `latest` or a version.
        epochs: passes over the labelled images.
        learning_rate: None takes a tenth of the bundle's own.
        validation_fraction: of the patients.
        device: None takes the bundle's choice.
    """

    weights: str = SHIPPED
    epochs: int = 10
    learning_rate: float | None = None
    validation_fraction: float = 0.2
    seed: int = 0
    device: str | None = None

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if self.epochs < 1 or not 0 <= self.validation_fraction < 1:
            raise ValueError(
                "expected at least 1 epoch and a validation fraction in [0, 1), got "
                f"{self.epochs} and {self.validation_fraction}."
            )
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"learning_rate must be above 0, got {rate}.")


def tuning_options(given: Mapping[str, Any]) -> TuningOptions:
    """Options from the loosely typed values of a client; `max_epochs`, `val_split` as MONAI Label says them.

    Raises:
        ValueError: a value that is no number, or out of range.
    """
    rate = given.get("learning_rate")
    try:
        return TuningOptions(
            weights=first_text(given.get("weights")) or SHIPPED,
            epochs=int(given.get("max_epochs", TuningOptions.epochs)),
            learning_rate=None if rate in (None, "", 0) else float(str(rate)),
            validation_fraction=float(given.get("val_split", TuningOptions.validation_fraction)),
            seed=int(given.get("seed", 0)),
            device=usable_device(first_text(given.get("device"))),
        )
    except (TypeError, OverflowError) as error:  # null, a list, 1e999
        raise ValueError(f"max_epochs, val_split and seed must be numbers: {error}.") from error


def fine_tune(
    bundle: str | Path, datastore: Path, versions: WeightVersions, options: TuningOptions
) -> dict[str, object]:
    """Trains the bundle on the final labels of a datastore; returns what was noted of the new version.

    The run is the bundle's own training with other data, start, length and learning rate. Its manifest,
    weights and checkpoints lie in the version's folder.

    Raises:
        ManifestError: nothing to train on.
        WeightsError: no weights to start from.
        BundleError, TrainingError: as the bundle's training raises.
    """
    root = find_bundle(bundle)
    start = versions.path(options.weights) or root / "models" / WEIGHTS_NAME
    if not start.is_file():
        raise WeightsError(
            f"{root.name} has no weights to start from. Train it first (`mammo-monai train`), or start the "
            "server with a bundle that has some (`mammo-monai bundle list`)."
        )
    about: dict[str, object] = {
        "bundle": root.name,
        "start": options.weights,
        "start_sha256": sha256_of(start),
        **{name: value for name, value in asdict(options).items() if name != "weights"},
    }
    with versions.new(about) as (name, folder):
        manifest = labelled_manifest(
            datastore,
            folder / MANIFEST_NAME,
            validation_fraction=options.validation_fraction,
            seed=options.seed,
        )
        counts = {"n_training": len(manifest.training), "n_validation": len(manifest.validation)}
        logger.info("training %s %s on %s", root.name, name, counted(len(manifest.training), "image"))
        overrides = _overrides(root, manifest, options)
        paths = {"manifest": folder / MANIFEST_NAME, "output_dir": folder, "init": start}
        run_bundle(
            root, "train", "training", {**{key: path_value(each) for key, each in paths.items()}, **overrides}
        )
        about.update(version=name, **counts, weights_sha256=sha256_of(folder / WEIGHTS_NAME))
    logger.info("weights %s of %s are ready", name, root.name)
    return about


def _overrides(root: Path, manifest: Manifest, options: TuningOptions) -> dict[str, object]:
    """Values of the bundle's training configuration that a few images ask for."""
    config = json.loads((root / "configs" / "train.json").read_text(encoding="utf-8"))
    n_training = len(manifest.training)
    rate = options.learning_rate
    if rate is None and not isinstance(config.get("learning_rate"), int | float):
        raise BundleError(f"{root.name}, train.json: has no single learning_rate; give one to train with.")
    wanted: dict[str, object] = {
        "epochs": options.epochs,
        "learning_rate": rate or RATE_FRACTION * config["learning_rate"],
        "seed": options.seed,
        "resume": False,
        # A loader that drops an incomplete last batch would have none at all.
        "batch_size": min(n_training, int(config.get("batch_size", 1))),
        "warmup_iterations": 0,
        "val_interval": options.epochs,
    }
    if options.device is not None:
        wanted["device"] = options.device
    found = {name: value for name, value in wanted.items() if name in config}
    if not manifest.validation:
        logger.warning("too few patients for a validation list: the figures are of the training images")
        found["validate#dataset#samples#split"] = "training"
    return found
