"""Interval of the mean sensitivity over .25–4 FPPI: a bootstrap over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mammo_monai.metrics import MEAN_FPPI, FrocRule, Interval
from mammo_monai.metrics.bootstrap import resampled_sensitivity
from mammo_monai.metrics.levels import match_by_rule
from mammo_monai.metrics.pooling import patient_numbers, pool_records
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds
from mammo_monai.records import Detections, ImageRecord


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
    matches = match_by_rule(pool_records(records, detections, label=rule.label), rule)
    patient = patient_numbers(records)
    n_patients = int(patient.max()) + 1
    if not matches.n_lesions or n_patients < 2:
        return None
    means = [np.zeros(0)]
    for weights in patient_draws(n_patients, rule, width=matches.n_lesions):
        drawn = resampled_sensitivity(matches, patient, weights, replace(rule, fppi=MEAN_FPPI))
        means.append(drawn.mean(axis=1))
    values = np.concatenate(means)
    low, high = percentile_bounds(values[:, None], rule.confidence)[0]
    return None if np.isnan(low) else Interval(float(low), float(high), "bootstrap")
