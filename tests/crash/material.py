"""What the killed commands work on: small phantoms, their manifest, weights of no training, plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from mammo_monai.cli.main import main
from mammo_monai.networks import retinanet_network, save_weights
from mammo_monai.phantoms import write_phantoms
from tests.experiments.conftest import write_experiment
from tests.experiments.sweeps.conftest import write_sweep_file

BUNDLE = "coco_to_inbreast_mass_retinanet"
NETWORK = {"backbone": "resnet18", "fpn_channels": 32}
SMALL = (
    *("--network_def#backbone", NETWORK["backbone"], "--network_def#fpn_channels", NETWORK["fpn_channels"]),
    *("--detector#size_divisible", 32, "--size_px", 128),
)


@dataclass(frozen=True)
class Material:
    """A folder of inputs; `make` fills it."""

    folder: Path

    @property
    def films(self) -> Path:
        """Phantoms as INbreast lays them out."""
        return self.folder / "films"

    @property
    def manifest(self) -> Path:
        """Of the phantoms, with its three lists."""
        return self.folder / "manifest.json"

    @property
    def weights(self) -> Path:
        """Of the small RetinaNet."""
        return self.folder / "weights.safetensors"

    @property
    def fake_experiment(self) -> Path:
        """Two runs on two folds, whose steps are `tests.experiments.fake_step`."""
        return self.folder / "fake" / "experiment.json"

    @property
    def sweep(self) -> Path:
        """Three trials of the same steps."""
        return self.folder / "sweep" / "sweep.json"

    @property
    def experiment(self) -> Path:
        """One run that trains the small RetinaNet for two epochs."""
        return self.folder / "experiment.json"

    @property
    def short(self) -> Path:
        """What `short_scenarios.write_short_material` makes."""
        return self.folder / "short"

    def make(self, *, patients: int = 4) -> int:
        """Writes what is missing, the manifest last; the exit code of what wrote that."""
        if self.manifest.is_file():
            return 0
        write_phantoms(self.films, layout="inbreast", patients=patients, seed=1, pixel_spacing_mm=0.8)
        save_small_weights(self.weights)
        runs = [{"name": name, "overrides": {"augment": name}} for name in ("none", "strong")]
        write_experiment(
            self.fake_experiment.parent, runs=runs, folds={"n_folds": 2, "validation_fraction": 0.34}
        )
        self.sweep.parent.mkdir(exist_ok=True)
        write_sweep_file(self.sweep.parent, sweep={"trials": 3})
        self._write_experiment()
        return main(["manifest", "inbreast", str(self.films), "-o", str(self.manifest)])

    def _write_experiment(self) -> None:
        overrides = {"init": "none", "size_px": 128, "detector#size_divisible": 32}
        overrides |= {f"network_def#{name}": value for name, value in NETWORK.items()}
        content = {
            "schema": "mammo-monai/experiment/1",
            "name": "tiny",
            "bundle": BUNDLE,
            "manifest": "manifest.json",
            "folds": {"n_folds": 2, "validation_fraction": 0.34},
            "epochs": 2,
            "overrides": overrides,
            "evaluate": {"n_bootstrap": 20},
            "runs": [{"name": "one"}],
        }
        self.experiment.write_text(json.dumps(content), encoding="utf-8")


def save_small_weights(path: Path, *, seed: int = 0) -> None:
    """Writes weights of no training for the small RetinaNet."""
    torch.manual_seed(seed)
    network = retinanet_network(**NETWORK, num_classes=1, head_norm="gn32", p6_from="c5")  # type: ignore[arg-type]
    save_weights(network, path, {})
