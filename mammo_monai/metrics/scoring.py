"""Scores one file against another: detections.json against manifest.json gives metrics.json."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mammo_monai.files import sha256_of
from mammo_monai.metrics.evaluation import evaluate_detections
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.schema import read_detections, read_manifest, write_metrics

logger = logging.getLogger(__name__)


def score_files(
    detections: str | Path,
    manifest: str | Path,
    output: str | Path,
    *,
    split: str | None = None,
    rule: FrocRule | None = None,
) -> dict[str, Any]:
    """Writes metrics.json to `output` and returns its content.

    Args:
        split: one list of the manifest; None scores all three. Entries of the other lists are left out.

    Raises:
        ManifestError: a file breaks its format, or the two do not join; see `evaluate_detections`.
    """
    detections, manifest = Path(detections), Path(manifest)
    truth, found = read_manifest(manifest), read_detections(detections)
    records = truth.images(split)
    set_aside = {each.record_id for each in truth.images()} - {each.record_id for each in records}
    scored = [each for each in found.detections if each.record_id not in set_aside]
    if len(scored) < len(found.detections):
        logger.info(
            "%d images of other lists than %s are left out", len(found.detections) - len(scored), split
        )
    metrics = evaluate_detections(records, scored, rule=rule)
    metrics["inputs"] = {
        "manifest_sha256": sha256_of(manifest),
        "detections_sha256": sha256_of(detections),
        "split": split,
    }
    write_metrics(Path(output), metrics)
    logger.info("wrote %s", output)
    return metrics
