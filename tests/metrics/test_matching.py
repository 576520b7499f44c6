"""Matching: the greedy rule of protocol §5, checked by hand and against the slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.geometry.boxes import box_iou
from mammo_monai.metrics import join_on_record_id, match_detections, match_pooled, pool_images
from mammo_monai.metrics.matching import restrict_lesions
from mammo_monai.records import Detections, Lesion
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import froc_reference


def lesions(*boxes):
    return [Lesion(box=box) for box in boxes]


def test_an_overlap_of_exactly_the_limit_is_no_hit() -> None:
    # 2 of 10 px² shared: IoU = 0.2 to the last bit.
    matches = match_detections(found(0, ((0, 0, 2, 1), 0.5)), lesions((0, 0, 10, 1)), min_iou=0.2)
    assert matches.lesion.tolist() == [-1]
    assert matches.is_false_positive().tolist() == [True]


def test_an_overlap_just_above_the_limit_is_a_hit() -> None:
    matches = match_detections(found(0, ((0, 0, 2.001, 1), 0.5)), lesions((0, 0, 10, 1)), min_iou=0.2)
    assert matches.lesion.tolist() == [0]
    assert matches.detection.tolist() == [0]
    assert matches.overlap.tolist() == pytest.approx([0.2001])


def test_a_candidate_takes_the_free_lesion_it_overlaps_most() -> None:
    matches = match_detections(found(0, ((2, 0, 12, 10), 0.5)), lesions((0, 0, 10, 10), (3, 0, 13, 10)))
    assert matches.lesion.tolist() == [1]


def test_a_candidate_takes_its_second_choice_when_the_first_is_taken() -> None:
    detections = found(0, ((3, 0, 13, 10), 0.9), ((2, 0, 12, 10), 0.5))
    matches = match_detections(detections, lesions((0, 0, 10, 10), (3, 0, 13, 10)))
    assert matches.lesion.tolist() == [1, 0]


def test_equal_scores_are_matched_in_file_order() -> None:
    detections = found(0, ((0, 0, 8, 10), 0.5), ((0, 0, 10, 10), 0.5))
    matches = match_detections(detections, lesions((0, 0, 10, 10)))
    assert matches.lesion.tolist() == [0, -1]
    assert matches.is_double_hit.tolist() == [False, True]


def test_double_hits_are_ignored_unless_counted() -> None:
    detections = found(0, ((0, 0, 10, 10), 0.9), ((1, 0, 10, 10), 0.5), ((40, 40, 50, 50), 0.2))
    matches = match_detections(detections, lesions((0, 0, 10, 10)))
    assert matches.is_false_positive().tolist() == [False, False, True]
    assert matches.is_false_positive(count_double_hits=True).tolist() == [False, True, True]


def test_only_the_scored_label_has_rows() -> None:
    detections = Detections(
        "a",
        np.array([[0.0, 0, 9, 5], [0, 0, 9, 5], [0, 0, 9, 5]]),
        np.array([0.9, 0.8, 0.7]),
        np.array([1, 0, 1]),
    )
    truth = [Lesion(box=(0, 0, 9, 5), label=1), Lesion(box=(0, 0, 9, 5))]
    matches = match_detections(detections, truth)
    assert matches.index.tolist() == [1]
    assert matches.lesion_index.tolist() == [1]
    assert match_detections(detections, truth, label=1).index.tolist() == [0, 2]


@pytest.mark.parametrize("rows", [(), (((0, 0, 9, 5), 0.3),)])
def test_an_image_without_lesions_has_no_hits(rows) -> None:
    matches = match_detections(found(0, *rows), [])
    assert matches.n_lesions == 0
    assert matches.is_false_positive().tolist() == [True] * len(rows)


def test_a_detection_without_area_is_a_false_positive() -> None:
    matches = match_detections(found(0, ((3, 3, 3, 8), 0.3)), lesions((0, 0, 5, 9)))
    assert matches.is_false_positive().tolist() == [True]


def test_a_lesion_without_area_names_its_image() -> None:
    with pytest.raises(GeometryError, match=r"lesions of record 0{16}: box 0 .* has no area"):
        match_detections(found(0), lesions((3, 3, 3, 8)))


@settings(max_examples=150, deadline=None)
@given(scene=scenes())
def test_counts_per_image_agree_with_the_slow_reference(scene: Scene) -> None:
    images = pool_images(scene.detections, [each.lesions for each in scene.records])
    matches = match_pooled(images, min_iou=0.2)
    for n, image in enumerate(scene.plain()):
        rows = matches.image == n
        counted = (
            int(matches.is_hit[rows].sum()),
            int(matches.is_false_positive()[rows].sum()),
            int(matches.is_double_hit[rows].sum()),
        )
        assert counted == froc_reference.count(image, 0.0, 0.2)


@settings(max_examples=100, deadline=None)
@given(scene=scenes())
def test_overlap_of_a_hit_is_the_iou_of_its_boxes(scene: Scene) -> None:
    images = pool_images(scene.detections, [each.lesions for each in scene.records])
    matches = match_pooled(images, min_iou=0.2)
    rows = np.flatnonzero(matches.is_hit)
    every = box_iou(images.boxes[rows], images.lesion_boxes[matches.lesion[rows]])
    np.testing.assert_array_equal(matches.overlap[rows], np.diagonal(every))
    np.testing.assert_array_equal(matches.detection[matches.lesion[rows]], rows)


@settings(max_examples=100, deadline=None)
@given(scene=scenes())
def test_leaving_lesions_out_keeps_the_false_positives(scene: Scene) -> None:
    matches = match_pooled(pool_images(scene.detections, [each.lesions for each in scene.records]))
    is_kept = np.arange(matches.n_lesions) % 2 == 0
    kept = restrict_lesions(matches, is_kept)
    assert kept.is_false_positive().sum() == matches.is_false_positive().sum()
    assert kept.is_hit.sum() == (matches.detection[is_kept] >= 0).sum()
    hit = kept.detection >= 0
    np.testing.assert_array_equal(kept.lesion[kept.detection[hit]], np.flatnonzero(hit))


def test_joining_follows_the_order_of_the_records() -> None:
    entries = [found(1), found(0)]
    joined = join_on_record_id([record(0), record(1)], entries)
    assert joined == (entries[1], entries[0])


def test_images_without_an_entry_are_named_and_counted() -> None:
    with pytest.raises(ManifestError, match=r"7 record ids have no entry in the detections.*0{15}1.*…\."):
        join_on_record_id([record(n) for n in range(8)], [found(0)])


def test_entries_of_unknown_images_are_named() -> None:
    with pytest.raises(ManifestError, match=r"1 record ids are in the detections but not .*: 0{15}3\."):
        join_on_record_id([record(0)], [found(0), found(3)])


def test_two_entries_of_one_image_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"more than one entry in the detections: 0{16}\."):
        join_on_record_id([record(0)], [found(0), found(0)])


def test_an_image_given_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match="stand more than once among the images"):
        join_on_record_id([record(0), record(0)], [found(0)])


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_not_finite_names_image_and_detection(score: float) -> None:
    with pytest.raises(ManifestError, match=r"record 0{15}1, detection 1: the score must be a finite number"):
        pool_images([found(0), found(1, ((0, 0, 1, 2), 0.1), ((0, 0, 1, 2), score))], [[], []])


@pytest.mark.parametrize("box", [(5, 0, 4, 2), (0, np.nan, 1, 2)])
def test_a_box_that_cannot_be_names_its_image(box) -> None:
    with pytest.raises(GeometryError, match=r"detections of record 0{15}1: box 0"):
        pool_images([found(0, ((0, 0, 1, 2), 0.5)), found(1, (box, 0.5))], [[], []])


def test_boxes_of_another_shape_name_their_image() -> None:
    odd = Detections("odd", np.zeros((2, 5)), np.zeros(2), np.zeros(2, dtype=np.int64))
    with pytest.raises(GeometryError, match=r"detections of record odd: .*\(N, 4\)"):
        pool_images([found(0, ((0, 0, 1, 2), 0.5)), odd], [[], []])


def test_fewer_scores_than_boxes_are_refused() -> None:
    short = Detections("short", np.zeros((2, 4)), np.zeros(1), np.zeros(2, dtype=np.int64))
    with pytest.raises(ManifestError, match="record short: expected one score and one label per box, got 2"):
        pool_images([short], [[]])
