"""The bundles' step that scores detections.json against manifest.json and leaves metrics.json behind."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_files import evaluate_files
from mammo_monai.schema import write_metrics

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
        ManifestError: a file breaks its format, or the two do not join; see `evaluate_files`.
    """
    metrics = evaluate_files(Path(detections), Path(manifest), split=split, rule=rule)
    write_metrics(Path(output), metrics)
    logger.info("wrote %s", output)
    return metrics
