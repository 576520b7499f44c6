"""COCO's average precision against pycocotools: random boxes, ties, empty images, no detections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.metrics.average_precision import COCO_MIN_IOU, average_precision, coco_average_precision
from mammo_monai.metrics.matching import match_pooled
from tests.metrics.random_scenes import crowded
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import pycocotools_ap

pytest.importorskip("pycocotools")


def assert_same(scene: Scene) -> None:
    ours = coco_average_precision(scene.pooled())
    theirs = pycocotools_ap.average_precisions(scene.plain())
    np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-9)
    assert ours.ap == pytest.approx(np.mean(theirs), abs=1e-9)
    assert ours.at(0.5) == pytest.approx(theirs[0], abs=1e-9)
    assert ours.at(0.75) == pytest.approx(theirs[5], abs=1e-9)


@pytest.mark.parametrize("seed", range(0, 100, 20))
def test_a_hundred_random_sets_give_the_same_ten_figures_and_ap(seed: int) -> None:
    for each in range(seed, seed + 20):
        assert_same(crowded(each, n_scores=(3, 20, 1000)[each % 3]))


@settings(max_examples=100, deadline=None)
@given(scene=scenes())
def test_small_sets_full_of_ties_give_the_same(scene: Scene) -> None:
    if any(lesions for lesions, _ in scene.plain()):
        assert_same(scene)


@settings(max_examples=30, deadline=None)
@given(scene=scenes(), limits=st.sets(st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.6, 1.0]), min_size=1))
def test_so_do_other_limits_which_an_overlap_may_equal(scene: Scene, limits: set[float]) -> None:
    if any(lesions for lesions, _ in scene.plain()):
        ours = coco_average_precision(scene.pooled(), min_iou=sorted(limits))
        theirs = pycocotools_ap.average_precisions(scene.plain(), sorted(limits))
        np.testing.assert_allclose(ours.values, theirs, rtol=0, atol=1e-9)


def test_without_detections_both_are_0_and_without_lesions_pycocotools_says_minus_1() -> None:
    lesions = Scene((record(0, [(0, 0, 4, 6)]), record(1)), (found(0), found(1)))
    assert pycocotools_ap.average_precisions(lesions.plain()) == [0.0] * 10
    assert coco_average_precision(lesions.pooled()).values == (0.0,) * 10
    normal = Scene((record(0),), (found(0, ((0, 0, 4, 6), 0.5)),))
    assert pycocotools_ap.average_precisions(normal.plain()) == [-1.0] * 10


def test_pycocotools_shows_a_hundred_detections_an_image_unless_told_otherwise() -> None:
    false = [((40.0, 40.0, 44.0, 47.0), 0.9)] * 100
    scene = Scene((record(0, [(0, 0, 4, 6)]),), (found(0, *false, ((0, 0, 4, 6), 0.5)),))
    assert pycocotools_ap.average_precisions(scene.plain(), max_detections=100) == [0.0] * 10
    assert coco_average_precision(scene.pooled()).at(0.5) == pytest.approx(1 / 101)
    assert_same(scene)


def test_limits_are_the_floats_of_pycocotools() -> None:
    from pycocotools.cocoeval import Params

    assert Params("bbox").iouThrs.tolist() == list(COCO_MIN_IOU)


def test_the_area_rule_and_the_101_recalls_stay_within_a_hundredth() -> None:
    scene = crowded(0, n_images=300, n_scores=100_000)
    area = average_precision(match_pooled(scene.pooled(), min_iou=0.5))
    assert coco_average_precision(scene.pooled()).at(0.5) == pytest.approx(area, abs=0.01)
