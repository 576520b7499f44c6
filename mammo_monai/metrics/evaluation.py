"""The content of metrics.json: every figure of one set of detections on one set of images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.average_precision import average_precision_entry
from mammo_monai.metrics.calibration import reliability_entry
from mammo_monai.metrics.froc import MEAN_FPPI, FrocCurve, froc_curve, mean_sensitivity, score_at_fppi
from mammo_monai.metrics.image_entries import units_entry, without_boxes
from mammo_monai.metrics.image_ratings import image_ratings, marks_nothing
from mammo_monai.metrics.jafroc import jafroc_entry
from mammo_monai.metrics.levels import count_by_rule
from mammo_monai.metrics.matching import NOTHING, Matches, match_lesions, restrict_lesions
from mammo_monai.metrics.normal_curve import normal_curve_entry
from mammo_monai.metrics.normals import false_positives_on_normals
from mammo_monai.metrics.overlap_sweep import overlap_sweep_entry
from mammo_monai.metrics.point_entries import or_none, point_entries
from mammo_monai.metrics.pooling import PooledImages, patient_numbers, pool_records
from mammo_monai.metrics.precision_recall import precision_recall_entry
from mammo_monai.metrics.roc_levels import roc_entries
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import UNIT_LEVELS
from mammo_monai.metrics.size_bands import AREA_BANDS, SIZE_BANDS, area_bands_of, size_bands_of
from mammo_monai.metrics.subgroups import subgroup_entries
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import METRICS_SCHEMA

logger = logging.getLogger(__name__)

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

    Joins on the record id. An image without a lesion of the scored label is a normal image. Where every image
    has a score of its own and none a box, the entries made of boxes are empty, and `no_boxes` says so.

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
    images = pool_records(records, detections, label=rule.label)
    patient = patient_numbers(records)
    ratings = image_ratings(records, detections, images, rule)
    of_boxes = (
        without_boxes()
        if marks_nothing(detections)
        else _of_boxes(records, images, patient, rule, thresholds)
    )
    return {
        "schema": METRICS_SCHEMA,
        "rule": rule.describe(),
        "n_images": len(records),
        "n_normal_images": int((~images.has_lesion).sum()),
        "n_patients": int(patient.max()) + 1,
        "n_lesions": len(images.lesion_image),
        "n_detections": len(images.scores),
        **of_boxes,
        "roc": roc_entries(ratings, rule),
        "units": units_entry(ratings, rule),
    }


def _of_boxes(
    records: Sequence[ImageRecord],
    images: PooledImages,
    patient: NDArray[np.int64],
    rule: FrocRule,
    thresholds: Mapping[float, float] | None,
) -> Json:
    """The entries that are made of boxes."""
    found = match_lesions(images, rule)
    matches = count_by_rule(found, images, rule)
    curve = froc_curve(matches, count_double_hits=rule.count_double_hits)
    return {
        "froc": _froc(curve, matches, patient, rule),
        "mean_sensitivity": _mean_sensitivity(curve),
        "levels": _levels(found, images, patient, rule),
        "size_bands": _bands(found, images, patient, rule, SIZE_BANDS, size_bands_of(records)),
        "area_bands": _bands(found, images, patient, rule, AREA_BANDS, area_bands_of(records)),
        "subgroups": subgroup_entries(records, found, images, patient, rule),
        "overlap": overlap_sweep_entry(images, patient, rule),
        "average_precision": average_precision_entry(images),
        "precision_recall": precision_recall_entry(found, curve, patient, rule),
        "normal_images": _normal_images(found, ~images.has_lesion, curve, patient, rule, thresholds),
        "jafroc": jafroc_entry(found, patient, rule),
        "reliability": reliability_entry(found, rule),
        "images": _per_image(records, found),
    }


def _froc(curve: FrocCurve, matches: Matches, patient: NDArray[np.int64], rule: FrocRule) -> Json:
    fppi, sensitivity, score = (column.tolist() for column in curve.corners().points.T)
    return {
        "fppi": fppi,
        "sensitivity": [or_none(each) for each in sensitivity],
        "score": [or_none(each) for each in score],
        "points": point_entries(curve, matches, patient, rule),
    }


def _mean_sensitivity(curve: FrocCurve) -> Json:
    return {"fppi": list(MEAN_FPPI), "value": mean_sensitivity(curve) if curve.is_defined else None}


def _levels(found: Matches, images: PooledImages, patient: NDArray[np.int64], rule: FrocRule) -> list[Json]:
    """Sensitivity per image, breast and patient; a level is left out where an image's unit is unknown."""
    rows: list[Json] = []
    for level in UNIT_LEVELS:
        try:
            grouped = count_by_rule(found, images, replace(rule, level=level))
        except UndefinedMetricError as error:
            logger.debug("no sensitivity per %s: %s", level, error)
            continue
        curve = froc_curve(grouped, count_double_hits=rule.count_double_hits)
        points = point_entries(curve, grouped, patient, rule)
        rows.append({"level": level, "n": grouped.n_lesions, "points": points})
    return rows


def _bands(
    found: Matches,
    images: PooledImages,
    patient: NDArray[np.int64],
    rule: FrocRule,
    names: Sequence[str],
    bands: Sequence[Sequence[str]],
) -> list[Json]:
    """Sensitivity for the lesions of each band; the false positives are those of all counted images.

    Args:
        names: of the bands. bands: of every lesion of every image.
    """
    places = zip(found.lesion_image.tolist(), found.lesion_index.tolist(), strict=True)
    band_of = np.array([bands[image][index] for image, index in places], dtype="U7")
    rows: list[Json] = []
    for name in names:
        kept = restrict_lesions(found, band_of == name)
        counted = count_by_rule(kept, images, rule)
        curve = froc_curve(counted, count_double_hits=rule.count_double_hits)
        points = point_entries(curve, counted, patient, rule)
        rows.append({"band": name, "n_lesions": kept.n_lesions, "points": points})
    return rows


def _normal_images(
    found: Matches,
    is_normal: NDArray[np.bool_],
    curve: FrocCurve,
    patient: NDArray[np.int64],
    rule: FrocRule,
    thresholds: Mapping[float, float] | None,
) -> Json:
    """Mean false positives per normal image among detections of at least each score (P2, Fig. 5)."""
    n_images = int(is_normal.sum())
    scores = found.scores[is_normal[found.image]]
    counts = [int((scores >= score).sum()) for score in _NORMAL_SCORES]
    if thresholds is None:
        thresholds = {fppi: score_at_fppi(curve, fppi) for fppi in rule.fppi}
    points = false_positives_on_normals(found, is_normal, patient, thresholds, rule) if n_images else ()
    return {
        "n_images": n_images,
        "score": list(_NORMAL_SCORES),
        "false_positives_per_image": [count / n_images if n_images else None for count in counts],
        "points": [{**asdict(each), "score": or_none(each.score)} for each in points],
        "curve": normal_curve_entry(found, is_normal, patient, rule),
    }


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
