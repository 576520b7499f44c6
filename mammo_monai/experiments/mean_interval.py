"""Interval of the mean sensitivity over .25–4 FPPI: a bootstrap over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mammo_monai.metrics import MEAN_FPPI, FrocRule, Interval, join_on_record_id, match_pooled, pool_images
from mammo_monai.metrics.bootstrap import resampled_sensitivity
from mammo_monai.records import Detections, ImageRecord

_CELLS = 4_000_000  # numbers held at once while resampling: 32 MB


def mean_sensitivity_interval(
    records: Sequence[ImageRecord], detections: Sequence[Detections], rule: FrocRule
) -> Interval | None:
    """Percentile interval of the mean sensitivity; patients are drawn with all their images.

    The draws are those of `metrics.sensitivity_intervals` with the same seed.

    Returns:
        None where resampling says nothing: no lesion, fewer than two patients, no resamples asked for, every
        resample alike.

    Source: Efron & Tibshirani, 1993 (percentile interval); the patient as the unit: protocol §2.
    """
    images = pool_images(
        join_on_record_id(records, detections), [each.lesions for each in records], label=rule.label
    )
    matches = match_pooled(images, min_iou=rule.min_iou)
    _, patient = np.unique([each.patient_id for each in records], return_inverse=True)
    n_patients = int(patient.max()) + 1
    if not matches.n_lesions or n_patients < 2:
        return None
    generator, means = np.random.default_rng(rule.seed), [np.zeros(0)]
    block = max(1, _CELLS // max(n_patients, matches.n_lesions))
    for start in range(0, rule.n_bootstrap, block):
        size = min(block, rule.n_bootstrap - start)
        chosen = generator.integers(n_patients, size=(size, n_patients))
        chosen += n_patients * np.arange(size)[:, None]
        weights = np.bincount(chosen.ravel(), minlength=size * n_patients).reshape(size, n_patients)
        drawn = resampled_sensitivity(matches, patient, weights, replace(rule, fppi=MEAN_FPPI))
        means.append(drawn.mean(axis=1))
    values = np.concatenate(means)
    values = values[~np.isnan(values)]
    if not len(values) or np.ptp(values) <= 0:
        return None
    tail = 50 * (1 - rule.confidence)
    return Interval(float(np.percentile(values, tail)), float(np.percentile(values, 100 - tail)), "bootstrap")
