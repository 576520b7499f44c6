"""Operating points and calibration from files: detections of one model, or of all folds, and a manifest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.errors import MammoError, ManifestError, UndefinedMetricError
from mammo_monai.files import sha256_of
from mammo_monai.metrics.calibration import calibrate
from mammo_monai.metrics.froc import FrocCurve, froc_curve
from mammo_monai.metrics.levels import match_by_rule
from mammo_monai.metrics.matching import match_lesions
from mammo_monai.metrics.operating_points import CALIBRATED_FPPI, choose_points
from mammo_monai.metrics.pooling import patient_numbers, pool_records
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.records import Detections, ImageRecord, Split
from mammo_monai.schema import (
    DetectionsFile,
    Manifest,
    OperatingPoints,
    check_detections,
    read_detections,
    read_manifest,
)
from mammo_monai.schema.fields import sha256
from mammo_monai.schema.operating_points import CalibrationMethod
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
POINTS_RULE = FrocRule(fppi=CALIBRATED_FPPI)


@dataclass(frozen=True)
class CalibratedFiles:
    """What detections files and a manifest gave: operating points with calibration, and the whole curve."""

    points: OperatingPoints
    curve: FrocCurve


def calibrate_files(
    detections_paths: Sequence[Path],
    manifest_path: Path,
    *,
    split: Split | str | None = None,
    rule: FrocRule = POINTS_RULE,
    method: CalibrationMethod = "platt",
) -> CalibratedFiles:
    """Operating points and calibration on all images of a list of the manifest, or of all its lists.

    Calibrated is what the last point shows; see `calibrate`. Probabilities are those of hitting a lesion by
    `rule.hit`, on all images: `level` and `false_positives_on` decide the points alone.

    The images of the files must be disjoint and make up the list: the validation images of one model, or
    those of every fold of a cross-validation, pooled. The models of the folds are others, and their scores
    are compared as they are: a fold that scores higher than the rest gets more of the false positives. A
    model trained on all images, to which the points are given, is none of them. Detections of images in the
    manifest's other lists are left out.

    Args:
        detections_paths: of validation images; no model may have been trained on what it marks here.

    Raises:
        ManifestError: a file is not what its format promises; an image stands in two files, in none, or not
            in the manifest; a box does not touch its image; a file holds no image of the list.
        UndefinedMetricError: no image, lesion or detection, or no hit or no miss to calibrate on.
        ValueError: a score outside [0, 1], or another method.
    """
    paths = [Path(each) for each in detections_paths]
    manifest = read_manifest(manifest_path)
    records = manifest.images(split)
    files = [read_detections(path) for path in paths]
    entries = _pooled(paths, files, manifest, manifest_path, records)
    try:
        if not records:
            raise UndefinedMetricError("the split is empty. Name another with --split.")
        images = pool_records(records, entries, label=rule.label)
        matches = match_by_rule(images, rule)
        patient = patient_numbers(records)
        chosen = choose_points(matches, patient, rule)
        points = OperatingPoints(
            points=chosen,
            calibration=calibrate(
                match_lesions(images, rule), patient, rule, method=method, min_score=chosen[-1].threshold
            ),
            rule=rule.describe(),
            n_images=len(records),
            n_lesions=len(images.lesion_image),
            n_patients=int(patient.max()) + 1,
            manifest_sha256=sha256_of(manifest_path),
            weights_sha256=tuple(_weights_of(each) for each in files),
            inference=_common_inference(files),
        )
    except MammoError as error:
        raise type(error)(f"{', '.join(map(str, paths))} against {manifest_path}: {error}") from error
    return CalibratedFiles(points, froc_curve(matches, count_double_hits=rule.count_double_hits))


def _pooled(
    paths: Sequence[Path],
    files: Sequence[DetectionsFile],
    manifest: Manifest,
    manifest_path: Path,
    records: Sequence[ImageRecord],
) -> list[Detections]:
    """The entries of the list's images from all files, each image from one file."""
    wanted = {record.record_id for record in records}
    first: dict[str, Path] = {}
    entries: list[Detections] = []
    for path, file in zip(paths, files, strict=True):
        check_detections(path, file, manifest.images(), manifest=manifest_path)
        for each in file.detections:
            if each.record_id in first:
                raise ManifestError(
                    f"{path}: record {each.record_id} has an entry in {first[each.record_id]} already; every "
                    "image may be marked by one model. Give each fold's validation images alone."
                )
            first[each.record_id] = path
        kept = [each for each in file.detections if each.record_id in wanted]
        if records and not kept:
            raise ManifestError(f"{path}: holds no image of the list. Leave the file out, or name its split.")
        if len(kept) < len(file.detections):
            left_out = counted(len(file.detections) - len(kept), "image")
            logger.info("%s: left out %s of other lists", path.name, left_out)
        entries += kept
    return entries


def _weights_of(file: DetectionsFile) -> str | None:
    try:
        return sha256(file.model.get("weights_sha256"))
    except ValueError:
        return None


def _common_inference(files: Sequence[DetectionsFile]) -> dict[str, Any] | None:
    """How all files say that images were shown to the detector."""
    first, *others = [each.model.get("inference") for each in files]
    if isinstance(first, dict) and all(each == first for each in others):
        return dict(first)
    return None
