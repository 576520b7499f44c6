"""Matching: the greedy rule of protocol §5, checked by hand and against the slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.geometry.boxes import box_iou
from mammo_monai.metrics import FrocRule, join_on_record_id, match_detections, match_pooled, pool_images
from mammo_monai.metrics.matching import Matches, match_lesions, restrict_lesions
from mammo_monai.metrics.pooling import pool_records
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


CENTER = FrocRule(hit="center")
NEAR, WITHIN_1_MM = FrocRule(hit="center_distance"), FrocRule(hit="center_distance", max_distance_mm=1.0)


def centred(x: float, y: float) -> tuple[float, float, float, float]:
    """A box of 2 × 4 px about a point: too small to overlap most lesions much."""
    return (x - 1, y - 2, x + 1, y + 2)


def matched_by(
    rule: FrocRule, truth: list, *points: tuple[float, float], spacing: tuple[float, float] | None = None
) -> Matches:
    """Lesions, and detections of falling score centred on the points, of one image."""
    rows = [(centred(*point), 0.9 - n / 10) for n, point in enumerate(points)]
    return match_lesions(pool_records([record(0, truth, spacing=spacing)], [found(0, *rows)]), rule)


@pytest.mark.parametrize(
    ("point", "is_hit"),
    [((4, 6), True), ((3.99, 8), False), ((8, 15.99), True), ((10, 8), False), ((8, 16), False)],
)
def test_a_centre_hits_from_the_upper_left_edge_to_before_the_lower_right(point, is_hit: bool) -> None:
    assert matched_by(CENTER, [(4, 6, 10, 16)], point).is_hit.tolist() == [is_hit]


def test_a_centre_in_two_lesions_takes_the_nearest_by_their_widths_and_heights() -> None:
    # 2 px from the centre of a lesion 4 px wide is half of it, 3 px of 20 px less than a sixth.
    small, large = (4, 4, 8, 8), (1, 0, 21, 12)
    assert matched_by(CENTER, [small, large], (8 - 1e-9, 6)).lesion.tolist() == [1]
    assert matched_by(NEAR, [small, large], (7, 6)).lesion.tolist() == [0]


def test_a_lesion_taken_leaves_the_candidate_its_second_choice_by_any_rule() -> None:
    both = [(0, 0, 10, 10), (2, 0, 12, 10)]
    for rule in (CENTER, NEAR):
        matches = matched_by(rule, both, (5, 5), (5, 5), (5, 5))
        assert matches.lesion.tolist() == [0, 1, -1]
        assert matches.is_double_hit.tolist() == [False, False, True]


def test_without_a_limit_centres_lie_less_than_half_the_longest_side_apart() -> None:
    tall = [(0, 0, 4, 10)]
    assert matched_by(NEAR, tall, (2, 9.99), (2, 5)).is_hit.tolist() == [True, False]
    assert not matched_by(NEAR, tall, (2, 10)).is_hit.any()
    assert matched_by(NEAR, tall, (6.9, 5)).is_hit.all()  # beside the box, yet near


def test_without_a_limit_distances_are_in_mm_where_the_spacing_is_known() -> None:
    # Rows 1 mm apart, columns 4 mm: the box of 4 × 10 px is 16 × 10 mm, and 3 columns are 12 mm.
    tall = [(0, 0, 4, 10)]
    assert matched_by(NEAR, tall, (5, 5)).is_hit.all()
    assert not matched_by(NEAR, tall, (5, 5), spacing=(1, 4)).is_hit.any()
    assert matched_by(NEAR, tall, (2, 12), spacing=(1, 4)).is_hit.all()
    assert matched_by(NEAR, tall, (4.9, 5), spacing=(2, 2)).is_hit.all()


def test_a_limit_in_mm_includes_itself() -> None:
    square = [(0, 0, 4, 4)]
    assert matched_by(WITHIN_1_MM, square, (4, 2), spacing=(0.25, 0.5)).is_hit.all()
    assert not matched_by(WITHIN_1_MM, square, (4.01, 2), spacing=(0.25, 0.5)).is_hit.any()
    assert matched_by(WITHIN_1_MM, square, (2, 6), spacing=(0.25, 0.5)).is_hit.all()


def test_a_hit_by_centre_keeps_the_overlap_of_the_boxes() -> None:
    matches = matched_by(FrocRule(hit="center_distance"), [(0, 0, 2, 4), (10, 0, 20, 16)], (1, 2), (15, 15.9))
    assert matches.lesion.tolist() == [0, 1]
    assert matches.overlap.tolist() == pytest.approx([1, 2 * 2.1 / (8 + 160 - 2 * 2.1)])
    beside = matched_by(FrocRule(hit="center_distance"), [(0, 0, 4, 10)], (6.5, 5))
    assert (beside.lesion.tolist(), beside.overlap.tolist()) == ([0], [0])


def test_a_limit_in_mm_needs_the_spacing_of_images_with_lesions() -> None:
    normal = record(1, [Lesion(box=(0, 0, 4, 4), label=1)], spacing=None)
    seen, unknown = record(0, [(0, 0, 4, 4)]), record(2, [(0, 0, 4, 4)], spacing=None)
    assert not match_lesions(pool_records([seen, normal], [found(0), found(1)]), WITHIN_1_MM).is_hit.any()
    with pytest.raises(ManifestError) as caught:
        match_lesions(pool_records([seen, normal, unknown], [found(0), found(1), found(2)]), WITHIN_1_MM)
    assert str(caught.value) == (
        "record 0000000000000002: max_distance_mm needs the image's pixel spacing, and pixel_spacing_mm is "
        "missing. Add it to the manifest, or score by another hit rule: iou, center, or center_distance "
        "without a limit in mm."
    )


def test_a_limit_in_mm_needs_the_records() -> None:
    images = pool_images([found(0, (centred(2, 2), 0.5))], [lesions((0, 0, 4, 4))])
    with pytest.raises(ValueError, match="max_distance_mm needs the images' pixel spacing: pool them with"):
        match_lesions(images, WITHIN_1_MM)
    assert match_lesions(images, NEAR).is_hit.all()


def test_pooled_records_are_kept_in_their_order() -> None:
    records = [record(0, [(0, 0, 4, 4)]), record(1)]
    images = pool_records(records, [found(1), found(0, ((0, 0, 4, 4), 0.5))])
    assert images.records == tuple(records)
    assert images.image.tolist() == [0]
    assert pool_images([found(0)], [[]]).records == ()


@settings(max_examples=75, deadline=None)
@given(scene=scenes())
def test_counts_per_image_agree_with_the_slow_reference(scene: Scene) -> None:
    images = scene.pooled()
    matches = match_pooled(images, min_iou=0.2)
    for n, image in enumerate(scene.plain()):
        rows = matches.image == n
        counted = (
            int(matches.is_hit[rows].sum()),
            int(matches.is_false_positive()[rows].sum()),
            int(matches.is_double_hit[rows].sum()),
        )
        assert counted == froc_reference.count(image, 0.0, 0.2)


@settings(max_examples=50, deadline=None)
@given(scene=scenes())
def test_overlap_of_a_hit_is_the_iou_of_its_boxes(scene: Scene) -> None:
    images = scene.pooled()
    matches = match_pooled(images, min_iou=0.2)
    rows = np.flatnonzero(matches.is_hit)
    every = box_iou(images.boxes[rows], images.lesion_boxes[matches.lesion[rows]])
    np.testing.assert_array_equal(matches.overlap[rows], np.diagonal(every))
    np.testing.assert_array_equal(matches.detection[matches.lesion[rows]], rows)


@settings(max_examples=50, deadline=None)
@given(scene=scenes())
def test_leaving_lesions_out_keeps_the_false_positives(scene: Scene) -> None:
    matches = scene.matches()
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
