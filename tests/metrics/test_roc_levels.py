"""`roc` of metrics.json: one entry per level that has units with and without a lesion."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import trapezoid

from mammo_monai.metrics import FrocRule
from mammo_monai.metrics.roc import roc_auc
from mammo_monai.metrics.roc_levels import SPECIFICITIES, roc_entries
from mammo_monai.metrics.scored_units import Pool, detector_ratings, unit_scores
from mammo_monai.records import Laterality
from tests.metrics.scenes import Scene, found, record

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
QUICK = FrocRule(n_bootstrap=100)


def screening(n_patients: int = 30, *, views: int = 2) -> Scene:
    """Both breasts of each patient, the left of every other with a lesion; some images unmarked."""
    rng = np.random.default_rng(0)
    records, detections = [], []
    for patient in range(n_patients):
        for side in Laterality:
            for _ in range(views):
                is_positive = side is Laterality.LEFT and patient % 2 == 0
                own = record(len(records), [HIT] if is_positive else [], patient=f"p{patient:03d}")
                score = float(rng.beta(4, 3) if is_positive else rng.beta(3, 4))
                rows = [(HIT, score)] if rng.random() < 0.8 else []
                detections.append(found(len(records), *rows))
                records.append(replace(own, laterality=side))
    return Scene(tuple(records), tuple(detections))


def entries(scene: Scene, *, pool: Pool = "max") -> list[dict]:
    images = scene.pooled()
    ratings = replace(detector_ratings(scene.records, images), over_views=pool)
    return roc_entries(ratings, QUICK)


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_each_level_has_its_counts_area_and_points(pool) -> None:
    scene = screening()
    rows = entries(scene, pool=pool)
    assert [(each["level"], each["n_positive"], each["n_negative"]) for each in rows] == [
        ("image", 30, 90),
        ("breast", 15, 45),
        ("patient", 15, 15),
    ]
    # Two breasts and four images of a patient are not independent, patients are.
    assert [each["interval"] for each in rows] == ["bootstrap", "bootstrap", "delong"]
    images = scene.pooled()
    for each in rows:
        units = unit_scores(scene.records, images, level=each["level"], pool=pool)
        assert each["auc"] == roc_auc(units.scores, units.is_positive)
        assert each["low"] < each["auc"] < each["high"]
        assert trapezoid(each["tpr"], each["fpr"]) == pytest.approx(each["auc"])
        assert [point["specificity"] for point in each["sensitivity_at_specificity"]] == list(SPECIFICITIES)
        assert all(
            point["low"] <= point["sensitivity"] <= point["high"]
            for point in each["sensitivity_at_specificity"]
        )
        assert each["pool"] == pool
    json.dumps(rows, allow_nan=False)


def test_a_level_without_positives_or_negatives_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    scene = screening()
    sick = [n for n, each in enumerate(scene.records) if int(each.patient_id[1:]) % 2 == 0]
    some = Scene(tuple(scene.records[n] for n in sick), tuple(scene.detections[n] for n in sick))
    with caplog.at_level(logging.DEBUG):
        assert [each["level"] for each in entries(some)] == ["image", "breast"]
    assert "no ROC curve per patient: a ROC curve is undefined" in caplog.text
    normal = Scene(tuple(replace(each, lesions=()) for each in scene.records), scene.detections)
    assert entries(normal) == []


def test_breasts_are_left_out_where_laterality_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    scene = screening()
    unknown = Scene((replace(scene.records[0], laterality=None), *scene.records[1:]), scene.detections)
    with caplog.at_level(logging.DEBUG):
        assert [each["level"] for each in entries(unknown)] == ["image", "patient"]
        assert [each["level"] for each in entries(unknown, pool="mean")] == ["image"]
    assert "scores per breast need to know the breast; without a laterality: 1 image," in caplog.text
    assert "p000" not in caplog.text


def test_undefined_bounds_and_infinite_scores_are_null() -> None:
    scene = Scene((record(0, [HIT]), record(1), record(2)), (found(0), found(1), found(2, (ASIDE, 0.4))))
    (image, patient) = entries(scene)
    assert (image["low"], image["high"], image["interval"]) == (None, None, "none")
    assert "two positives and two negatives" in image["note"]
    assert [point["score"] for point in image["sensitivity_at_specificity"]] == [None] * 3
    assert [point["sensitivity"] for point in image["sensitivity_at_specificity"]] == [0] * 3
    assert patient["auc"] == image["auc"] == 0.25
