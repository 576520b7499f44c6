"""Sensitivity against the IoU a hit asks for: every limit as if it were scored alone."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import overlap_sweep as module
from mammo_monai.metrics.bootstrap import sensitivity_intervals
from mammo_monai.metrics.candidate_pairs import overlapping_pairs, taken_in_turn
from mammo_monai.metrics.levels import match_by_rule
from mammo_monai.metrics.matching import match_pooled
from mammo_monai.metrics.overlap_sweep import (
    SWEEP_FPPI,
    SWEEP_MIN_IOU,
    matches_at_overlaps,
    overlap_sweep_entry,
    sweep_overlap,
)
from mammo_monai.metrics.pooling import PooledImages, pool_records
from mammo_monai.metrics.rule import FrocRule
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import froc_reference

RULE = FrocRule(n_bootstrap=0)
LESION, SHIFTED = (0.0, 0.0, 10.0, 6.0), (0.0, 2.0, 10.0, 8.0)  # IoU 1/2


def pooled(scene: Scene) -> PooledImages:
    return pool_records(scene.records, scene.detections)


def two_by_two(scene: Scene) -> np.ndarray:
    return np.arange(len(scene.records)) // 2


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), limits=st.lists(st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.75]), min_size=1))
def test_matches_of_every_limit_are_those_of_matching_alone(scene: Scene, limits: list[float]) -> None:
    images = pooled(scene)
    for limit, ours in zip(limits, matches_at_overlaps(images, limits), strict=True):
        alone = match_pooled(images, min_iou=limit)
        for each in fields(ours):
            np.testing.assert_array_equal(getattr(ours, each.name), getattr(alone, each.name))


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), doubles=st.booleans())
def test_sensitivities_are_those_of_the_slow_reference(scene: Scene, doubles: bool) -> None:
    if not any(each.has_mass for each in scene.records):
        return
    rule = replace(RULE, count_double_hits=doubles)
    sweep = sweep_overlap(pooled(scene), two_by_two(scene), rule)
    slow = [
        [
            froc_reference.sensitivity_at(froc_reference.froc(scene.plain(), limit, doubles), fppi)
            for limit in SWEEP_MIN_IOU
        ]
        for fppi in SWEEP_FPPI
    ]
    np.testing.assert_allclose(sweep.sensitivity, slow, atol=1e-9)
    assert (sweep.low <= sweep.sensitivity + 1e-9).all()
    assert (sweep.sensitivity <= sweep.high + 1e-9).all()


@pytest.mark.parametrize(
    "rule",
    [
        FrocRule(n_bootstrap=50),
        FrocRule(n_bootstrap=50, level="breast", count_double_hits=True),
        FrocRule(n_bootstrap=50, level="image", false_positives_on="normal"),
    ],
    ids=["lesions", "breasts", "images, false positives of normal ones"],
)
def test_level_images_and_intervals_are_those_of_the_rule(rule: FrocRule) -> None:
    scene = half_overlapping(8)
    images, patient = pooled(scene), two_by_two(scene)
    sweep = sweep_overlap(images, patient, rule, fppi=[0.5, 2.0], min_iou=[0.2, 0.6])
    for place, limit in enumerate((0.2, 0.6)):
        alone = replace(rule, min_iou=limit, fppi=(0.5, 2.0))
        bounds = sensitivity_intervals(match_by_rule(images, alone), patient, alone)
        assert sweep.low[:, place].tolist() == [each.low for each in bounds]
        assert sweep.high[:, place].tolist() == [each.high for each in bounds]
    assert sweep.n_bootstrap == 50


def half_overlapping(n_images: int) -> Scene:
    """Every second image has a lesion, marked exactly in every fourth and half beside it in the others."""
    from mammo_monai.records import Laterality

    records = [
        replace(
            record(n, [LESION] if n % 2 else [], patient=f"patient {n // 2}"),
            laterality=Laterality.RIGHT if n % 4 else Laterality.LEFT,
        )
        for n in range(n_images)
    ]
    marks = [found(n, (LESION if n % 4 == 1 else SHIFTED, 0.25 + n / 100)) for n in range(n_images)]
    return Scene(tuple(records), tuple(marks))


def test_a_box_that_overlaps_half_hits_below_one_half_alone() -> None:
    scene = Scene((record(0, [LESION]), record(1)), (found(0, (SHIFTED, 0.9)), found(1)))
    sweep = sweep_overlap(pooled(scene), np.arange(2), RULE, fppi=[4.0])
    assert sweep.sensitivity[0].tolist() == [1.0] * 9 + [0.0] * 10  # .05 … .45, then .5: strictly above
    assert sweep.min_iou[9] == 0.5


def test_the_hit_rule_is_iou_whatever_the_rule_says() -> None:
    scene = half_overlapping(8)
    images, patient = pooled(scene), two_by_two(scene)
    by_centre = sweep_overlap(images, patient, replace(RULE, hit="center_distance", max_distance_mm=0.01))
    assert by_centre.sensitivity.tolist() == sweep_overlap(images, patient, RULE).sensitivity.tolist()


def test_overlaps_are_computed_once_for_all_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*args: PooledImages):
        calls.append(1)
        return overlapping_pairs(*args)

    monkeypatch.setattr(module, "overlapping_pairs", counted)
    scene = half_overlapping(4)
    sweep_overlap(pooled(scene), two_by_two(scene), RULE)
    assert calls == [1]


def test_without_a_lesion_the_sweep_is_undefined_and_its_entry_null() -> None:
    scene = Scene((record(0),), (found(0, (LESION, 0.5)),))
    with pytest.raises(UndefinedMetricError, match="no lesion of the scored label"):
        sweep_overlap(pooled(scene), np.zeros(1, dtype=np.int64), RULE)
    entry = overlap_sweep_entry(pooled(scene), np.zeros(1, dtype=np.int64), RULE)
    assert entry["sensitivity"] == entry["low"] == entry["high"] == [[None] * 19] * 3


@pytest.mark.parametrize("limit", [-0.1, 1.0])
def test_a_limit_outside_its_range_is_refused(limit: float) -> None:
    scene = half_overlapping(4)
    with pytest.raises(ValueError, match="min_iou must be limits at least 0 and below 1, got"):
        sweep_overlap(pooled(scene), two_by_two(scene), RULE, min_iou=[0.2, limit])


def test_the_entry_states_its_grid_and_its_resamples() -> None:
    scene = half_overlapping(8)
    entry = overlap_sweep_entry(pooled(scene), two_by_two(scene), FrocRule(n_bootstrap=20))
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    assert entry["fppi"] == [0.5, 1.67, 4.0]
    assert entry["min_iou"] == [
        0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5,
        0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
    ]  # fmt: skip
    assert entry["n_bootstrap"] == 20
    assert [len(row) for row in entry["high"]] == [19, 19, 19]


def test_of_no_pair_nothing_is_taken() -> None:
    pairs = overlapping_pairs(pooled(Scene((record(0),), (found(0),))))
    assert (len(pairs.row), len(taken_in_turn(pairs))) == (0, 0)


def test_pairs_come_by_score_then_by_overlap_then_by_place() -> None:
    twin = LESION
    scene = Scene((record(0, [SHIFTED, twin, twin]),), (found(0, (twin, 0.5), (twin, 0.9)),))
    first, last = (overlapping_pairs(pooled(scene), takes_last=each) for each in (False, True))
    assert list(zip(first.row.tolist(), first.lesion.tolist(), strict=True)) == [
        (1, 1), (1, 2), (1, 0), (0, 1), (0, 2), (0, 0),
    ]  # fmt: skip
    assert last.lesion.tolist() == [2, 1, 0, 2, 1, 0]
    assert first.closeness.tolist() == [1.0, 1.0, 0.5, 1.0, 1.0, 0.5]
