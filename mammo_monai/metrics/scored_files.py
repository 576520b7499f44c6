"""Scores the two files on disk: detections.json against one list of manifest.json, or against all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mammo_monai.errors import MammoError, ManifestError, UndefinedMetricError
from mammo_monai.files import content_sha256, sha256_of
from mammo_monai.metrics.evaluation import evaluate_detections
from mammo_monai.metrics.image_ratings import marks_nothing
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.records import ImageRecord, Split, is_positive
from mammo_monai.schema import (
    check_detections,
    read_detections,
    read_manifest,
    read_operating_points,
    write_metrics,
)
from mammo_monai.schema.model_line import model_facts
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


def evaluate_files(
    detections_path: Path,
    manifest_path: Path,
    *,
    split: Split | str | None = None,
    rule: FrocRule | None = None,
    operating_points: Path | None = None,
    require_lesions: bool = False,
) -> dict[str, Any]:
    """The content of metrics.json: the SHA-256 of both files and the split under `inputs`, the `model`.

    Figures on synthetic images say so there: `is_phantom`.

    Detections of images in the manifest's other lists are left out; those of images in none are an error.

    Args:
        operating_points: an operating_points.json whose thresholds, chosen on other images, false positives
            on normal images are counted at; its hash joins `inputs`. None takes these images' own.
        require_lesions: refuse images without a scored lesion, unless `operating_points` says at which
            scores to count their false positives; else their figures come out undefined. A model that scores
            images alone, as malignant or not, needs none.

    Raises:
        ManifestError: a file is not what its format promises, they do not join one to one, a box does not
            touch its image, or the operating points are of another label.
        UndefinedMetricError: the split is empty, or with `require_lesions` has no lesion, or no image of the
            class that the rule calls positive or its opposite.
    """
    manifest, content = read_manifest(manifest_path), read_detections(detections_path)
    check_detections(detections_path, content, manifest.images(), manifest=manifest_path)
    records = manifest.images(split)
    left_out = {each.record_id for each in manifest.images()} - {each.record_id for each in records}
    detections = [each for each in content.detections if each.record_id not in left_out]
    needs_lesions = not (marks_nothing(detections) and rule is not None and rule.positive == "malignant")
    if require_lesions and operating_points is None and needs_lesions:
        _reject_without_truth(manifest_path, records, split, (rule or FrocRule()).label)
    if require_lesions and rule is not None and rule.positive != "lesion":
        _reject_without_class(manifest_path, records, split, rule)
    if len(detections) < len(content.detections):
        logger.info("left out %s of other lists", counted(len(content.detections) - len(detections), "image"))
    thresholds = None
    if operating_points is not None:
        thresholds = _thresholds(operating_points, rule or FrocRule())
    try:
        metrics = evaluate_detections(records, detections, rule=rule, thresholds=thresholds)
    except MammoError as error:
        raise type(error)(f"{detections_path} against {manifest_path}: {error}") from error
    metrics["inputs"] = {
        "manifest_sha256": sha256_of(manifest_path),
        "detections_sha256": content_sha256(detections_path),
        "split": getattr(split, "value", split),
    }
    if manifest.is_phantom:
        metrics["inputs"]["is_phantom"] = True
    metrics["model"] = model_facts(content.model)
    if operating_points is not None:
        metrics["inputs"]["operating_points_sha256"] = sha256_of(operating_points)
    return metrics


def _thresholds(path: Path, rule: FrocRule) -> dict[float, float]:
    """The lowest score shown, by FPPI, of points that are of the scored label."""
    found = read_operating_points(path)
    if found.label != rule.label:
        raise ManifestError(
            f"{path}: expected operating points of label {rule.label}, the one that is scored, got points of "
            f"label {found.label}. Give those that `mammo-monai calibrate --label {rule.label}` made."
        )
    return {each.fppi: each.threshold for each in found.points}


def _reject_without_truth(
    path: Path, records: Sequence[ImageRecord], split: Split | str | None, label: int
) -> None:
    labels = sorted({lesion.label for record in records for lesion in record.lesions})
    if not records or label in labels:
        return
    which = getattr(split, "value", split) or "all lists"
    there = f", those there have label {', '.join(map(str, labels))} (--label)" if labels else ""
    raise UndefinedMetricError(
        f"{path}, {which}: expected lesions to score, none of {counted(len(records), 'image')} has "
        f"one of label {label}{there}. Make the manifest with its annotations (`mammo-monai manifest`); to "
        "count false positives on images without lesions give the thresholds of other images "
        "(--operating-points)."
    )


def _reject_without_class(
    path: Path, records: Sequence[ImageRecord], split: Split | str | None, rule: FrocRule
) -> None:
    if not records or any(is_positive(each, rule.positive, label=rule.label) is not None for each in records):
        return
    which = getattr(split, "value", split) or "all lists"
    raise UndefinedMetricError(
        f"{path}, {which}: expected images known to be {rule.positive} or not, by pathology or BI-RADS, none "
        f"of the {len(records)} is. Add either to the manifest, or score by lesions (--positive lesion)."
    )


def score_files(
    detections: str | Path,
    manifest: str | Path,
    output: str | Path,
    *,
    split: str | None = None,
    rule: FrocRule | None = None,
) -> dict[str, Any]:
    """`evaluate_files` as a step of a bundle: writes metrics.json to `output` and returns its content."""
    metrics = evaluate_files(Path(detections), Path(manifest), split=split, rule=rule)
    write_metrics(Path(output), metrics)
    logger.info("wrote %s", output)
    return metrics
