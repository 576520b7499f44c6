"""The FROC curve and what is read off it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import (
    OPERATING_FPPI,
    FrocCurve,
    froc_curve,
    match_pooled,
    mean_sensitivity,
    score_at_fppi,
    sensitivity_at_fppi,
)
from mammo_monai.metrics.matching import Matches
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import froc_reference


def matched(scene: Scene, *, min_iou: float = 0.2, label: int = 0) -> Matches:
    images = scene.pooled(label)
    return match_pooled(images, min_iou=min_iou)


@settings(max_examples=75, deadline=None)
@given(
    scene=scenes(),
    doubles=st.booleans(),
    label=st.sampled_from([0, 1]),
    min_iou=st.sampled_from([0, 0.2, 0.5]),
)
def test_sensitivity_at_every_fppi_agrees_with_the_slow_reference(
    scene: Scene, doubles: bool, label: int, min_iou: float
) -> None:
    curve = froc_curve(matched(scene, min_iou=min_iou, label=label), count_double_hits=doubles)
    slow = froc_reference.froc(scene.plain(label), min_iou, doubles)
    assert curve.is_defined == (slow[0][1] is not None)
    for fppi in (*OPERATING_FPPI, *(measured for measured, _ in slow)):
        expected = froc_reference.sensitivity_at(slow, fppi)
        if expected is None:
            with pytest.raises(UndefinedMetricError, match="no lesion of the scored label"):
                sensitivity_at_fppi(curve, fppi)
            continue
        assert sensitivity_at_fppi(curve, fppi) == pytest.approx(expected, abs=1e-9)
        assert sensitivity_at_fppi(curve.corners(), fppi) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(scene=scenes(scores=(0.125, 0.25, 0.375, 0.5, 0.625, 0.75)), doubles=st.booleans())
def test_every_point_of_the_curve_agrees_with_the_slow_reference(scene: Scene, doubles: bool) -> None:
    curve = froc_curve(matched(scene), count_double_hits=doubles)
    slow = froc_reference.froc(scene.plain(), 0.2, doubles)
    # The reference also repeats a point at scores that only ignored detections have.
    measured = {(fppi, -1.0 if sensitivity is None else sensitivity) for fppi, sensitivity in slow}
    ours = {
        (fppi, -1.0 if math.isnan(sensitivity) else sensitivity)
        for fppi, sensitivity, _ in curve.points.tolist()
    }
    assert np.abs(np.array(sorted(measured)) - np.array(sorted(ours))).max() < 1e-9


@settings(max_examples=50, deadline=None)
@given(scene=scenes(), fppi=st.sampled_from(OPERATING_FPPI), doubles=st.booleans())
def test_the_score_at_an_fppi_keeps_false_positives_within_it(
    scene: Scene, fppi: float, doubles: bool
) -> None:
    matches = matched(scene)
    score = score_at_fppi(froc_curve(matches, count_double_hits=doubles), fppi)
    shown = matches.scores >= score
    is_false = matches.is_false_positive(count_double_hits=doubles)
    assert (is_false & shown).sum() / matches.n_images <= fppi


def test_normal_images_count_in_the_false_positives_per_image() -> None:
    scene = Scene(
        (record(0, [(0, 0, 4, 6)]), record(1)), (found(0, ((0, 0, 4, 6), 0.5)), found(1, ((0, 0, 4, 6), 0.9)))
    )
    assert froc_curve(matched(scene)).points[:, :2].tolist() == [[0, 0], [0.5, 0], [0.5, 1]]


def test_equal_scores_enter_together() -> None:
    scene = Scene((record(0, [(0, 0, 4, 6)]),), (found(0, ((6, 6, 9, 9), 0.5), ((0, 0, 4, 6), 0.5)),))
    assert froc_curve(matched(scene)).points[:, :2].tolist() == [[0, 0], [1, 1]]


def test_without_lesions_the_sensitivity_is_nan_and_never_zero() -> None:
    curve = froc_curve(matched(Scene((record(0),), (found(0, ((0, 0, 4, 6), 0.5)),))))
    assert np.isnan(curve.sensitivity).all()
    assert curve.fppi.tolist() == [0, 1]
    assert score_at_fppi(curve, 0.5) == math.inf
    assert score_at_fppi(curve, 1.0) == 0.5
    with pytest.raises(UndefinedMetricError, match="no lesion"):
        mean_sensitivity(curve)


def test_without_detections_the_curve_is_its_starting_point() -> None:
    curve = froc_curve(matched(Scene((record(0, [(0, 0, 4, 6)]),), (found(0),))))
    assert curve.points.tolist() == [[0, 0, math.inf]]
    assert sensitivity_at_fppi(curve, 4.0) == 0
    assert curve.corners().points.tolist() == curve.points.tolist()


def test_without_images_there_is_no_curve() -> None:
    with pytest.raises(UndefinedMetricError, match="at least one image"):
        froc_curve(matched(Scene((), ())))


def test_corners_keep_rises_and_both_ends() -> None:
    curve = FrocCurve(fppi=[0, 1, 1, 2, 3, 4], sensitivity=[0, 0, 0.5, 0.5, 1, 1])
    assert curve.corners().points[:, :2].tolist() == [[0, 0], [1, 0.5], [3, 1], [4, 1]]


@pytest.mark.parametrize(
    ("fppi", "sensitivity"),
    [([], []), ([0, 1], [0]), ([[0.0]], [[0.0]]), ([1, 0], [0, 1]), ([0, 1], [1, 0]), ([0, np.nan], [0, 1])],
)
def test_what_is_no_curve_is_refused(fppi, sensitivity) -> None:
    with pytest.raises(ValueError, match=r"equal length|must not fall"):
        FrocCurve(fppi=fppi, sensitivity=sensitivity)


def test_an_fppi_before_the_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="at least the curve's first, 0, got -1"):
        sensitivity_at_fppi(FrocCurve(fppi=[0, 1], sensitivity=[0, 1]), -1.0)
