"""The content of metrics.json: every figure of one set of detections on one set of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.average_precision import average_precision
from mammo_monai.metrics.bootstrap import Interval, sensitivity_intervals
from mammo_monai.metrics.froc import (
    MEAN_FPPI,
    FrocCurve,
    froc_curve,
    mean_sensitivity,
    score_at_fppi,
    sensitivity_at_fppi,
)
from mammo_monai.metrics.matching import NOTHING, Matches, match_pooled, restrict_lesions
from mammo_monai.metrics.normals import false_positives_on_normals
from mammo_monai.metrics.pooling import PooledImages, join_on_record_id, pool_images
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.size_bands import SIZE_BANDS, size_bands_of
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import METRICS_SCHEMA

_AP_MIN_IOU = 0.5
_NORMAL_SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # .9 and .95 are P2's (Fig. 5)
Json = dict[str, Any]


def evaluate_detections(
    records: Sequence[ImageRecord],
    detections: Sequence[Detections],
    *,
    rule: FrocRule | None = None,
    thresholds: Mapping[float, float] | None = None,
) -> Json:
    """The content of metrics.json, undefined figures as None.

    Joins on the record id. An image without a lesion of the scored label is a normal image.

    Args:
        thresholds: lowest score shown, by FPPI, chosen on other images: what false positives on normal images
            are counted at. None takes those of the rule's operating points on these images.

    Raises:
        ManifestError: records and detections do not join one to one, or a score is not finite.
        GeometryError: a box is reversed or not finite.
        UndefinedMetricError: there is no image to score.
    """
    rule = rule or FrocRule()
    if not records:
        raise UndefinedMetricError(
            "there is no image to score: the split is empty. Name another with --split."
        )
    entries = join_on_record_id(records, detections)
    images = pool_images(entries, [record.lesions for record in records], label=rule.label)
    matches = match_pooled(images, min_iou=rule.min_iou)
    patient = _patient_numbers(records)
    has_lesion = np.bincount(images.lesion_image, minlength=len(records)) > 0
    return {
        "schema": METRICS_SCHEMA,
        "rule": rule.describe(),
        "n_images": len(records),
        "n_normal_images": int((~has_lesion).sum()),
        "n_patients": int(patient.max()) + 1,
        "n_lesions": matches.n_lesions,
        "n_detections": len(matches.scores),
        "froc": _froc(matches, patient, rule),
        "mean_sensitivity": _mean_sensitivity(matches, rule),
        "size_bands": _size_bands(records, matches, patient, rule),
        "average_precision": {"min_iou": _AP_MIN_IOU, "value": _average_precision(images)},
        "normal_images": {
            **_normal_images(matches, ~has_lesion),
            "points": _normal_points(matches, ~has_lesion, patient, rule, thresholds),
        },
        "images": _per_image(records, matches),
    }


def _patient_numbers(records: Sequence[ImageRecord]) -> NDArray[np.int64]:
    _, numbers = np.unique([record.patient_id for record in records], return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def _froc(matches: Matches, patient: NDArray[np.int64], rule: FrocRule) -> Json:
    curve = froc_curve(matches, count_double_hits=rule.count_double_hits)
    fppi, sensitivity, score = (column.tolist() for column in curve.corners().points.T)
    return {
        "fppi": fppi,
        "sensitivity": [_or_none(each) for each in sensitivity],
        "score": [_or_none(each) for each in score],
        "points": _points(curve, matches, patient, rule),
    }


def _points(curve: FrocCurve, matches: Matches, patient: NDArray[np.int64], rule: FrocRule) -> list[Json]:
    """The operating points; `score` is the lowest that is shown there, None where none may be."""
    intervals: Sequence[Interval | None] = [None] * len(rule.fppi)
    if curve.is_defined:
        intervals = sensitivity_intervals(matches, patient, rule)
    return [
        {
            "fppi": fppi,
            "sensitivity": sensitivity_at_fppi(curve, fppi) if interval else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "interval": interval.method if interval else None,
            "score": _or_none(score_at_fppi(curve, fppi)),
        }
        for fppi, interval in zip(rule.fppi, intervals, strict=True)
    ]


def _mean_sensitivity(matches: Matches, rule: FrocRule) -> Json:
    curve = froc_curve(matches, count_double_hits=rule.count_double_hits)
    return {"fppi": list(MEAN_FPPI), "value": mean_sensitivity(curve) if curve.is_defined else None}


def _size_bands(
    records: Sequence[ImageRecord], matches: Matches, patient: NDArray[np.int64], rule: FrocRule
) -> list[Json]:
    """Sensitivity for the lesions of each band; the false positives are those of all images."""
    bands = size_bands_of(records)
    places = zip(matches.lesion_image.tolist(), matches.lesion_index.tolist(), strict=True)
    band_of = np.array([bands[image][index] for image, index in places], dtype="U7")
    rows: list[Json] = []
    for band in SIZE_BANDS:
        kept = restrict_lesions(matches, band_of == band)
        curve = froc_curve(kept, count_double_hits=rule.count_double_hits)
        points = _points(curve, kept, patient, rule)
        rows.append({"band": band, "n_lesions": kept.n_lesions, "points": points})
    return rows


def _average_precision(images: PooledImages) -> float | None:
    matches = match_pooled(images, min_iou=_AP_MIN_IOU)
    return average_precision(matches) if matches.n_lesions else None


def _normal_images(matches: Matches, is_normal: NDArray[np.bool_]) -> Json:
    """Mean false positives per normal image among detections of at least each score (P2, Fig. 5)."""
    n_images = int(is_normal.sum())
    scores = matches.scores[is_normal[matches.image]]
    counts = [int((scores >= score).sum()) for score in _NORMAL_SCORES]
    return {
        "n_images": n_images,
        "score": list(_NORMAL_SCORES),
        "false_positives_per_image": [count / n_images if n_images else None for count in counts],
    }


def _normal_points(
    matches: Matches,
    is_normal: NDArray[np.bool_],
    patient: NDArray[np.int64],
    rule: FrocRule,
    thresholds: Mapping[float, float] | None,
) -> list[Json]:
    if not is_normal.any():
        return []
    if thresholds is None:
        curve = froc_curve(matches, count_double_hits=rule.count_double_hits)
        thresholds = {fppi: score_at_fppi(curve, fppi) for fppi in rule.fppi}
    points = false_positives_on_normals(matches, is_normal, patient, thresholds, rule)
    return [{**asdict(each), "score": _or_none(each.score)} for each in points]


def _per_image(records: Sequence[ImageRecord], matches: Matches) -> dict[str, Json]:
    """Hits, misses and the rest by record id: positions in the record's lesions and the entry's boxes."""
    entries: list[Json] = [
        {"hits": [], "misses": [], "false_positives": [], "double_hits": []} for _ in records
    ]
    for image, lesion, row in _rows(matches.lesion_image, matches.lesion_index, matches.detection):
        if row == NOTHING:
            entries[image]["misses"].append(lesion)
            continue
        entries[image]["hits"].append(
            {
                "lesion": lesion,
                "detection": int(matches.index[row]),
                "score": float(matches.scores[row]),
                "overlap": float(matches.overlap[row]),
            }
        )
    for name, is_member in (
        ("false_positives", matches.is_false_positive()),
        ("double_hits", matches.is_double_hit),
    ):
        for image, index in _rows(matches.image[is_member], matches.index[is_member]):
            entries[image][name].append(index)
    return {record.record_id: entry for record, entry in zip(records, entries, strict=True)}


def _rows(*columns: NDArray[np.int64]) -> zip[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
