"""Paired differences of areas: which there are, whose they are, and what swapping does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocRule, area_differences, evaluate_detections
from mammo_monai.records import Detections, Laterality
from tests.metrics.scenes import found, record

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
RULE = FrocRule(n_bootstrap=60)
RECORDS = [
    replace(record(n, [HIT] if n % 3 else [], patient=f"p{n // 2}"), laterality=Laterality("LR"[n % 2]))
    for n in range(12)
]


def marks(seed: int, skill: float) -> list[Detections]:
    rng = np.random.default_rng(seed)
    return [
        found(
            n,
            (HIT if each.lesions else ASIDE, skill * bool(each.lesions) + rng.random()),
            (ASIDE, rng.random()),
        )
        for n, each in enumerate(RECORDS)
    ]


def test_each_figure_is_that_of_metrics_json_for_both_detectors() -> None:
    sides = marks(0, 0.3), marks(1, 0.6)
    contents = [evaluate_detections(RECORDS, each, rule=RULE) for each in sides]
    named = {each.figure: each.difference for each in area_differences(RECORDS, *sides, rule=RULE)}
    assert list(named) == ["JAFROC", "AUC per image", "AUC per breast"]  # every patient has a lesion
    for side, content in zip(("first", "second"), contents, strict=True):
        assert getattr(named["JAFROC"], side) == pytest.approx(content["jafroc"]["figure_of_merit"])
        for roc in content["roc"]:
            assert getattr(named[f"AUC per {roc['level']}"], side) == pytest.approx(roc["auc"])


def test_swapping_the_detectors_turns_the_sign() -> None:
    sides = marks(0, 0.3), marks(1, 0.6)
    ahead = area_differences(RECORDS, *sides, rule=RULE)
    back = area_differences(RECORDS, *sides[::-1], rule=RULE)
    for one, other in zip(ahead, back, strict=True):
        assert one.difference.difference == pytest.approx(-other.difference.difference)
        assert one.difference.p_value == pytest.approx(other.difference.p_value)


def test_the_rules_level_and_images_of_false_positives_do_not_matter() -> None:
    sides = marks(0, 0.3), marks(1, 0.6)
    narrow = replace(RULE, level="patient", false_positives_on="with_lesions")
    assert [each.difference.first for each in area_differences(RECORDS, *sides, rule=narrow)] == [
        each.difference.first for each in area_differences(RECORDS, *sides, rule=RULE)
    ]


def test_without_a_lesion_the_difference_is_undefined() -> None:
    normal = [replace(each, lesions=()) for each in RECORDS]
    with pytest.raises(UndefinedMetricError, match="12 images without a lesion"):
        area_differences(normal, marks(0, 0.3), marks(1, 0.3), rule=RULE)
