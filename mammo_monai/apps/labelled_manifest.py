"""From the labels people saved in MONAI Label's datastore to a manifest that trains a bundle."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers import FolderOptions, ManifestPlan, Reading, read_dataset, salt_beside
from mammo_monai.readers.splits import SplitScheme
from mammo_monai.schema import Manifest, write_audit, write_manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

FINAL_LABELS = Path("labels") / "final"


def labelled_manifest(
    datastore: Path, path: Path, *, validation_fraction: float = 0.2, seed: int = 0
) -> Manifest:
    """Writes manifest.json, and audit.csv beside it, of the images with a final label; returns the manifest.

    Final labels are what people submitted, boxes corrected or none left; proposals of a model under
    `labels/original` are no truth, and images without a final label are left out: nobody has looked at them.
    Where the patients are too few for a validation list, it stays empty.

    Args:
        datastore: the folder that holds the images, and labels/final.
        validation_fraction: of the patients, in [0, 1).

    Raises:
        ManifestError: no final label, none that can be used, or no mass among them to learn from.
    """
    labels = datastore / FINAL_LABELS
    if not labels.is_dir() or not any(labels.glob("*.json")):
        raise ManifestError(
            "no labels to train on: expected boxes that people submitted (labels/final), found none. Correct "
            "the marks of some images and submit them, then train."
        )
    plan = ManifestPlan(
        "folder",
        datastore,
        FolderOptions(annotations=labels, format="monai-label", clip_boxes=True, unlisted="leave-out"),
        SplitScheme("fractions", fractions=(1 - validation_fraction, validation_fraction, 0.0)),
        seed=seed,
    )
    reading = Reading(salt_beside(path))
    found = read_dataset(plan, reading)
    _check_masses(found)
    if reading.audit.quarantined:
        logger.warning(
            "left out %s that cannot be read; audit.csv beside the manifest says why",
            counted(len(reading.audit.quarantined), "image"),
        )
    manifest = found if found.training else replace(found, training=found.validation, validation=())
    write_audit(path.with_name("audit.csv"), path.name, reading.audit.findings)
    write_manifest(path, manifest)
    return manifest


def _check_masses(manifest: Manifest) -> None:
    images = manifest.images()
    if not any(record.has_mass for record in images):
        raise ManifestError(
            f"no labels to train on: {counted(len(images), 'image')} with a final label, none a mass. "
            "Images without masses alone teach a detector nothing to find: submit some with boxes."
        )
