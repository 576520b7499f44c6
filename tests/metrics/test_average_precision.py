"""Average precision against slow references; against pycocotools: `test_agreement_with_pycocotools`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.average_precision import (
    average_precision,
    average_precision_entry,
    coco_average_precision,
)
from mammo_monai.metrics.matching import match_detections, match_pooled
from mammo_monai.metrics.pooling import pool_images
from mammo_monai.records import Lesion
from tests.metrics.scenes import Scene, found, scenes
from tests.reference import coco_reference, froc_reference


@settings(max_examples=75, deadline=None)
@given(scene=scenes(), min_iou=st.sampled_from([0.2, 0.5]))
def test_average_precision_agrees_with_the_slow_reference(scene: Scene, min_iou: float) -> None:
    matches = match_pooled(scene.pooled(), min_iou=min_iou)
    expected = froc_reference.average_precision(scene.plain(), min_iou)
    if expected is None:
        with pytest.raises(UndefinedMetricError, match="average precision is undefined"):
            average_precision(matches)
    else:
        assert average_precision(matches) == pytest.approx(expected, abs=1e-9)


def test_average_precision_counts_double_hits_as_false() -> None:
    lesions = [Lesion(box=(0, 0, 4, 6)), Lesion(box=(10, 10, 14, 19))]
    detections = found(0, ((0, 0, 4, 6), 0.9), ((0, 0, 4, 6), 0.8), ((10, 10, 14, 19), 0.7))
    # Precision 1 at sensitivity 1/2, then 2 of 3 at sensitivity 1.
    assert average_precision(match_detections(detections, lesions)) == pytest.approx((1 + 2 / 3) / 2)


def test_steps_without_the_envelope_give_no_larger_area() -> None:
    lesions = [Lesion(box=(0, 0, 4, 6)), Lesion(box=(10, 10, 14, 19))]
    detections = found(
        0, ((5, 0, 8, 4), 0.9), ((0, 0, 4, 6), 0.8), ((0, 0, 4, 6), 0.7), ((10, 10, 14, 19), 0.6)
    )
    matches = match_detections(detections, lesions)
    # Hits at the second and the fourth mark, the third a double hit: precision 1/2 and 2/4.
    assert average_precision(matches) == pytest.approx(1 / 2)
    assert average_precision(matches, is_interpolated=False) == pytest.approx(1 / 2)
    # Without the double hit the fourth mark is the third: its 2/3 lifts the first hit's envelope.
    assert average_precision(matches, count_double_hits=False) == pytest.approx(2 / 3)
    steps = average_precision(matches, is_interpolated=False, count_double_hits=False)
    assert steps == pytest.approx((1 / 2 + 2 / 3) / 2)


@settings(max_examples=50, deadline=None)
@given(scene=scenes(), min_iou=st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.75, 1.0]))
def test_coco_agrees_with_the_slow_reference(scene: Scene, min_iou: float) -> None:
    expected = coco_reference.average_precision(scene.plain(), min_iou)
    if expected is None:
        with pytest.raises(UndefinedMetricError, match="average precision is undefined"):
            coco_average_precision(scene.pooled(), min_iou=[min_iou])
    else:
        ours = coco_average_precision(scene.pooled(), min_iou=[min_iou])
        assert ours.values == pytest.approx((expected,), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(scene=scenes(), factor=st.sampled_from([0.25, 7.0]))
def test_coco_falls_with_the_limit_and_does_not_depend_on_the_scale_of_scores(
    scene: Scene, factor: float
) -> None:
    images = scene.pooled()
    if not len(images.lesion_image):
        return
    values = coco_average_precision(images).values
    assert all(0 <= each <= 1 for each in values)
    scaled = replace(images, scores=images.scores * factor)
    assert coco_average_precision(scaled).values == pytest.approx(values)


def test_an_overlap_of_exactly_the_limit_is_a_hit_for_coco_alone() -> None:
    images = pool_images([found(0, ((0, 0, 10, 5), 0.9))], [[Lesion(box=(0, 0, 10, 10))]])
    assert coco_average_precision(images).at(0.5) == 1
    assert average_precision(match_pooled(images, min_iou=0.5)) == 0


def test_of_lesions_overlapped_equally_coco_takes_the_last() -> None:
    # The first mark lies halfway between two lesions, the second marks the first of them.
    lesions = [Lesion(box=(0, 0, 4, 6)), Lesion(box=(0, 4, 4, 10))]
    images = pool_images([found(0, ((0, 2, 4, 8), 0.9), ((0, 0, 4, 6), 0.8))], [lesions])
    assert coco_average_precision(images, min_iou=[0.4]).values == (1.0,)


def test_where_scores_tie_the_order_of_images_tells_in_coco_and_not_in_the_area() -> None:
    hit, aside = (0, 0, 4, 6), (6, 10, 9, 16)
    lesions = [[Lesion(box=hit)], []]
    marks = [found(0, (hit, 0.5)), found(1, (aside, 0.5))]
    first = pool_images(marks, lesions)
    second = pool_images(marks[::-1], lesions[::-1])
    assert coco_average_precision(first).at(0.5) == 1
    assert coco_average_precision(second).at(0.5) == 0.5
    areas = [average_precision(match_pooled(each, min_iou=0.5)) for each in (first, second)]
    assert areas == [0.5, 0.5]


@pytest.mark.parametrize("limits", [[], [0.0], [0.5, 1.1], [-0.5]])
def test_a_limit_that_cannot_be_is_refused(limits: list[float]) -> None:
    images = pool_images([found(0)], [[Lesion(box=(0, 0, 4, 6))]])
    with pytest.raises(ValueError, match="min_iou must be limits above 0 and at most 1, at least one; got"):
        coco_average_precision(images, min_iou=limits)


def test_a_limit_that_was_not_asked_for_is_named() -> None:
    images = pool_images([found(0)], [[Lesion(box=(0, 0, 4, 6))]])
    with pytest.raises(ValueError, match=r"min_iou must be one of \(0\.5,\), got 0\.75"):
        coco_average_precision(images, min_iou=[0.5]).at(0.75)


def test_the_entry_holds_the_area_and_cocos_figures() -> None:
    hit = (0.0, 0.0, 10.0, 10.0)
    images = pool_images([found(0, (hit, 0.9)), found(1)], [[Lesion(box=hit)], [Lesion(box=hit)]])
    entry = average_precision_entry(images)
    assert (entry["min_iou"], entry["value"]) == (0.5, 0.5)
    # Precision 1 at recalls 0, .01 … .5: 51 of 101.
    assert entry["coco"]["ap"] == pytest.approx(51 / 101)
    assert (entry["coco"]["ap50"], entry["coco"]["ap75"]) == (entry["coco"]["values"][0],) * 2
    assert entry["coco"]["min_iou"] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_without_a_lesion_the_entry_is_null() -> None:
    entry = average_precision_entry(pool_images([found(0, ((0, 0, 4, 6), 0.5))], [[]]))
    assert entry == {"min_iou": 0.5, "value": None, "coco": None}
