"""An ensemble: detections of several models on the same images, calibrated and fused into one list."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mammo_monai import __version__
from mammo_monai.errors import ManifestError
from mammo_monai.inference.ensemble_member import Member, side_by_side
from mammo_monai.inference.fusion import Candidates
from mammo_monai.inference.fusion_methods import FusionRule, fuse_models
from mammo_monai.records import Detections
from mammo_monai.schema import DetectionsFile
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
_NAMED = 3
_NO_BOXES = Candidates.of([], [], [])


@dataclass(frozen=True, eq=False)
class FusedDetections:
    """An ensemble: what is said of it, and its detections, each image fused as it is taken."""

    model: dict[str, Any]
    detections: Iterator[Detections]


def fuse_members(
    members: Sequence[Member], rule: FusionRule, *, is_calibrated: bool = True
) -> DetectionsFile:
    """`fused_stream` with all images in memory."""
    fused = fused_stream(members, rule, is_calibrated=is_calibrated)
    return DetectionsFile(tuple(fused.detections), fused.model)


def fused_stream(
    members: Sequence[Member], rule: FusionRule, *, is_calibrated: bool = True
) -> FusedDetections:
    """The detections of an ensemble: boxes fused by the rule, image scores averaged.

    Boxes have the probabilities of each member's calibration for scores before they are fused; boxes of other
    classes than the calibrated one are left out. The fused score is a mean in which a member that sees
    nothing counts 0: it is no probability, so `probabilities` is left open. Members that give image scores
    alone have no say about boxes. An image score is the mean, by the members' weights, over the members
    that give them. Images that failed in any member are left out and stand under `model.failed`.

    Every member is read twice: once for what is refused here, once as the detections are taken.

    Args:
        members: at least two, of the same images.
        is_calibrated: False fuses raw scores as they are.

    Raises:
        ManifestError: other images than the first member's, a detector without a calibration, classes that
            one member marks and another does not, or image scores of some images only.
        ValueError: fewer than two members, another number of weights; or, as an image is taken, a score
            outside [0, 1].
    """
    rule.check_models(len(members))
    _check_images(members)
    detectors = [each for each in members if each.marks_places]
    if is_calibrated:
        _check_calibrations(detectors)
    labels = _labels(detectors, rule, is_calibrated=is_calibrated)
    model = _model(members, rule, labels, is_calibrated=is_calibrated)
    return FusedDetections(model, _fused(members, rule, labels, is_calibrated=is_calibrated))


def _fused(
    members: Sequence[Member], rule: FusionRule, labels: Sequence[int], *, is_calibrated: bool
) -> Iterator[Detections]:
    failed = set[str]().union(*(each.failed_ids for each in members))
    weights = [weight for member, weight in zip(members, rule.weights, strict=False) if member.marks_places]
    of_boxes = FusionRule(rule.method, rule.min_iou, tuple(weights), rule.labels)
    for found in side_by_side(list(members), failed):
        models = _models(members, found, labels, is_calibrated=is_calibrated)
        try:
            boxes = fuse_models(models, of_boxes) if models else _NO_BOXES
        except ValueError as error:
            raise ValueError(f"record {found[0].record_id}: {error}") from error
        typicality = [each.typicality for each in found if each.typicality is not None]
        yield Detections(
            found[0].record_id,
            boxes.boxes,
            boxes.scores,
            boxes.labels,
            found[0].image,
            image_score=_image_score(members, found, rule),
            warnings=tuple(dict.fromkeys(text for each in found for text in each.warnings)),
            typicality=min(typicality, default=None),
        )


def _models(
    members: Sequence[Member], found: Sequence[Detections], labels: Sequence[int], *, is_calibrated: bool
) -> list[Candidates]:
    """What each detector among the members marked on one image, of the classes that are fused."""
    models = []
    for member, each in zip(members, found, strict=True):
        if member.marks_places:
            calibration = member.calibration if is_calibrated else None
            scores = each.scores if calibration is None else calibration(each)
            candidates = Candidates.of(each.boxes, scores, each.labels)
            models.append(candidates.take(np.isin(candidates.labels, labels)))
    return models


def _image_score(members: Sequence[Member], found: Sequence[Detections], rule: FusionRule) -> float | None:
    given = [
        (each.image_score, rule.weights[number] if rule.weights else 1.0)
        for number, (member, each) in enumerate(zip(members, found, strict=True))
        if member.scores_images and each.image_score is not None
    ]
    if not given:
        return None
    # 1 but for rounding, where all are 1.
    return min(1.0, sum(score * weight for score, weight in given) / sum(weight for _, weight in given))


def _check_images(members: Sequence[Member]) -> None:
    """Refuses members that were not predicted on the same images."""
    ids = [set(each.survey.record_ids) | each.failed_ids for each in members]
    for member, own in zip(members[1:], ids[1:], strict=True):
        if own != ids[0]:
            raise ManifestError(
                f"{member.where}: other images than {members[0].where}: {_count(own - ids[0])} only in the "
                f"former, {_count(ids[0] - own)} only in the latter. Predict all of them on the same "
                "manifest and the same split."
            )
    for member in members:
        found, n_images = member.survey, len(member.survey.record_ids)
        if 0 < found.unscored < n_images:
            raise ManifestError(
                f"{member.where}: {found.unscored} of {n_images} images have no image_score, the first is "
                f"{found.first_unscored}: means over different models do not compare. Give all images one, "
                "or none."
            )


def _count(ids: set[str]) -> str:
    named = ", ".join(sorted(ids)[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
    return f"{len(ids)} ({named})" if ids else "0"


def _check_calibrations(detectors: Sequence[Member]) -> None:
    without = [each for each in detectors if each.calibration is None]
    if without:
        raise ManifestError(
            f"{without[0].where}: no calibration for the scores of "
            f"{', '.join(each.name for each in without)}: scores of different models do not compare, "
            "so fusing them would let the louder one decide. Calibrate each model on validation images "
            "(`mammo-monai calibrate`), or fuse the raw scores on purpose with --uncalibrated."
        )


def _labels(detectors: Sequence[Member], rule: FusionRule, *, is_calibrated: bool) -> tuple[int, ...]:
    """The classes that are fused; of calibrated members the one they are calibrated for."""
    if is_calibrated:
        known = [(each.name, {each.calibration.label}) for each in detectors if each.calibration is not None]
    else:
        known = [(each.name, set(each.survey.boxes)) for each in detectors if each.survey.boxes]
    all_labels = set[int]().union(*(labels for _, labels in known))
    wanted = set(rule.labels) or all_labels
    if any((labels & wanted) != (all_labels & wanted) for _, labels in known):
        told = "; ".join(f"{name} {', '.join(map(str, sorted(labels)))}" for name, labels in known)
        how = "are calibrated for" if is_calibrated else "mark"
        raise ManifestError(
            f"the members {how} different classes (labels: {told}): one that never marks a class would count "
            "as one that sees nothing. Name the classes that all of them mark (--fuse-label)."
        )
    if is_calibrated and not wanted <= all_labels and detectors:
        raise ManifestError(
            f"label {', '.join(map(str, sorted(wanted - all_labels)))} is not the one that the members are "
            f"calibrated for ({', '.join(map(str, sorted(all_labels)))}). Leave it out, or fuse raw scores."
        )
    return tuple(sorted(wanted))


def _model(
    members: Sequence[Member], rule: FusionRule, labels: Sequence[int], *, is_calibrated: bool
) -> dict[str, Any]:
    """What detections.json says of the ensemble."""
    fusion = {
        "method": rule.method,
        "min_iou": rule.overlap,
        "weights": list(rule.weights) or [1.0] * len(members),
        "labels": list(labels),
        "calibrated": is_calibrated and any(each.marks_places for each in members),
        "members": [_told(each, labels, is_calibrated=is_calibrated) for each in members],
    }
    text = json.dumps(fusion, sort_keys=True)
    failed = {str(row["record_id"]): {**row, "member": each.name} for each in members for row in each.failed}
    return {
        "name": f"ensemble of {', '.join(each.name for each in members)}",
        "fusion": {**fusion, "sha256": hashlib.sha256(text.encode()).hexdigest()},
        "software": f"mammo-monai {__version__}",
        "failed": list(failed.values()),
    }


def _told(member: Member, labels: Sequence[int], *, is_calibrated: bool) -> dict[str, Any]:
    model = member.content.model
    left_out = sum(count for label, count in member.survey.boxes.items() if label not in labels)
    if left_out and member.marks_places:
        boxes = counted(left_out, "box")
        logger.warning("%s: left out %s of other classes than %s", member.name, boxes, labels)
    calibration = member.calibration if is_calibrated else None
    kept = {name: model[name] for name in ("bundle", "weights_sha256", "inference") if name in model}
    return {
        "name": member.name,
        **kept,
        "detections_sha256": member.sha256,
        "marks_places": member.marks_places,
        "scores_images": member.scores_images,
        "calibration": None if calibration is None else calibration.describe(),
        **({"boxes_left_out": left_out} if left_out else {}),
    }
