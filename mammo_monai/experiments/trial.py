"""Builds the cheap parts of every run, so that a wrong word in the last run shows before the first."""

from __future__ import annotations

from typing import Any

import torch
from monai.bundle import ConfigParser

from mammo_monai.bundle.faults import own_error
from mammo_monai.bundle.find import find_bundle
from mammo_monai.experiments.configuration import training_config
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.plan import Plan
from mammo_monai.experiments.run_spec import RunSpec
from mammo_monai.schema import Manifest
from mammo_monai.words import counted

# In this order; a bundle may lack some.
PARTS = ("plan", "train#preprocessing", "network_def", "settings", "detector", "classifier", "train#dataset")


def build_parts(plan: Plan) -> None:
    """Builds transforms, network, settings, model and data set of every run that trains; reads no image.

    Raises:
        ExperimentError: one cannot be built; the message names run, id and cause.
    """
    specs = {planned.spec.name: planned.spec for planned in plan.runs}
    for spec in specs.values():
        if spec.is_trained:
            manifest = next(iter(plan.data[spec.name].manifests.values()))
            _check_films(manifest, f"run {spec.name}")
            _build(spec, str(manifest.path))


def _check_films(manifest: Manifest, where: str) -> None:
    """Every list is used by some step, days later; prediction alone would go on without a film."""
    records = manifest.images()
    missing = [record.image for record in records if not record.image.is_file()]
    if missing:
        raise ExperimentError(
            f"{where}: {manifest.path}: {len(missing)} of {counted(len(records), 'image file')} are missing, "
            f"such as {missing[0]}. Paths in a manifest are relative to its folder: move both together."
        )


def _build(spec: RunSpec, manifest: str) -> None:
    where = f"run {spec.name}"
    config: dict[str, Any] = training_config(spec, where)
    # Without its starting weights, which take seconds and memory; they were found when the plan was made.
    config |= {"network": "@network_def", "bundle_root": str(find_bundle(spec.bundle)), "manifest": manifest}
    dataset = (config.get("train") or {}).get("dataset")
    if isinstance(dataset, dict):
        if "cache_rate" in dataset:
            dataset["cache_rate"] = 0.0
        if isinstance(dataset.get("samples"), dict):
            dataset["samples"] = {**dataset["samples"], "split": None}
    parser = ConfigParser(config)
    for name in PARTS:
        # A data set without samples cuts patches: it reads its images when it is made, for minutes.
        reads_images = name == "train#dataset" and "samples" not in (dataset or {})
        if name not in parser or reads_images:
            continue
        # A network without storage: its random weights take a second and can hold no fault.
        device = torch.device("meta" if name == "network_def" else "cpu")
        try:
            with device:
                parser.get_parsed_content(name)
        except Exception as error:  # MONAI wraps whatever a component raises, so no narrower class would do
            cause = own_error(error, f"{spec.bundle}, train.json", config, spec.overrides)
            raise ExperimentError(f"{where}: {cause}") from error
