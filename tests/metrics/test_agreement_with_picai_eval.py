"""FROC and average precision against picai_eval: on the same matches, and from pixels where rules agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

from mammo_monai.metrics.average_precision import average_precision
from mammo_monai.metrics.froc import froc_curve, sensitivity_at_fppi
from mammo_monai.metrics.matching import Matches, match_pooled
from mammo_monai.metrics.rule import OPERATING_FPPI
from tests.metrics.random_scenes import APART_SIZE, apart
from tests.metrics.scenes import Scene, found, record, scenes

picai_metrics = pytest.importorskip("tests.reference.picai_metrics", exc_type=ModuleNotFoundError)


def matched(scene: Scene, min_iou: float = 0.2) -> Matches:
    return match_pooled(scene.pooled(), min_iou=min_iou)


def assert_same_curve(matches: Matches, rows) -> None:
    curve = froc_curve(matches)
    theirs = [(0.0, 0.0), *picai_metrics.froc(rows)]
    # They count in float32; both shares are of small whole numbers.
    np.testing.assert_allclose(curve.points[:, :2], theirs, rtol=0, atol=1e-6)
    for fppi in OPERATING_FPPI:
        allowed = [sensitivity for measured, sensitivity in theirs if measured <= fppi]
        assert sensitivity_at_fppi(curve, fppi) == pytest.approx(max(allowed), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(scene=scenes())
def test_the_same_matches_give_the_same_curve_and_area(scene: Scene) -> None:
    matches = matched(scene)
    assume(matches.n_lesions)
    rows = picai_metrics.rows_of_matches(matches)
    assert_same_curve(matches, rows)
    ours = average_precision(matches, is_interpolated=False, count_double_hits=False)
    assert ours == pytest.approx(picai_metrics.average_precision(rows), abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_painted_into_label_maps_give_the_same_curve_and_area(seed: int) -> None:
    # Boxes apart from each other: none can overlap two of the other kind by more than half, so that matching
    # by score and matching by overlap pair the same.
    scene = apart(seed)
    matches = matched(scene, min_iou=0.5)
    rows = picai_metrics.rows_of_boxes(scene.plain(), APART_SIZE, 0.5)
    assert matches.n_lesions
    assert_same_curve(matches, rows)
    ours = average_precision(matches, is_interpolated=False, count_double_hits=False)
    assert ours == pytest.approx(picai_metrics.average_precision(rows), abs=1e-9)


def test_painted_boxes_hold_hits_misses_and_false_positives() -> None:
    matches = [matched(apart(seed), min_iou=0.5) for seed in range(40)]
    assert sum(int(each.is_hit.sum()) for each in matches) > 100
    assert sum(int((each.detection < 0).sum()) for each in matches) > 100
    assert sum(int(each.is_false_positive().sum()) for each in matches) > 100


def test_two_marks_of_one_lesion_are_paired_by_overlap_there_and_by_score_here() -> None:
    # What is not comparable: the same picture, two rules. Ours takes the higher score, theirs the larger box.
    lesion, low_and_close, high_and_half = (1, 1, 11, 9), (1, 1, 7, 9), (8, 1, 11, 9)
    scene = Scene((record(0, [lesion]),), (found(0, (low_and_close, 0.25), (high_and_half, 0.75)),))
    (row,) = picai_metrics.rows_of_boxes(scene.plain(), (10, 13), 0.2)[0]
    assert (row[0], row[1]) == (1, 0.25)
    assert matched(scene).scores[matched(scene).is_hit].tolist() == [0.75]
