"""Two detectors joined to the same images, and what each marks where both make as many false positives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.metrics import (
    FrocRule,
    LesionApart,
    LesionCounts,
    PairedMatches,
    lesion_counts,
    lesions_apart,
    marked_at,
    pair_detections,
)
from mammo_monai.records import Lesion
from tests.metrics.scenes import found, record

HIT, OTHER, ASIDE = (0.0, 0.0, 4.0, 6.0), (5.0, 0.0, 9.0, 6.0), (6.0, 10.0, 9.0, 16.0)
RULE = FrocRule(n_bootstrap=0)
RECORDS = (record(0, [HIT, OTHER], patient="b"), record(1, patient="a"), record(2, [HIT], patient="b"))
FIRST = (found(0, (HIT, 0.9), (OTHER, 0.3), (ASIDE, 0.5)), found(1, (ASIDE, 0.4)), found(2))
SECOND = (found(2, (HIT, 0.2)), found(1), found(0, (OTHER, 0.8), (OTHER, 0.7)))


def paired(first=FIRST, second=SECOND, records=RECORDS, rule=RULE, **more) -> PairedMatches:
    return pair_detections(records, first, second, rule=rule, **more)


def test_both_are_brought_into_the_order_of_the_records() -> None:
    pair = paired()
    assert pair.first.lesion_image.tolist() == pair.second.lesion_image.tolist() == [0, 0, 2]
    assert pair.patient.tolist() == [1, 0, 1]
    assert (pair.n_lesions, pair.n_patients) == (3, 2)


def test_each_is_seen_from_its_own_score_on() -> None:
    pair = paired()
    first, second = (marked_at(each, 0.34, rule=RULE) for each in (pair.first, pair.second))
    assert (first.score, second.score) == (0.5, 0.2)  # one false positive among three images, and none
    assert first.is_found.tolist() == [True, False, False]
    assert second.is_found.tolist() == [False, True, True]
    assert first.is_false_positive.tolist() == [False, False, True, False]
    assert not second.is_false_positive.any()


def test_double_hits_are_false_positives_only_when_asked() -> None:
    pair = paired()
    assert not marked_at(pair.second, 1.0, rule=RULE).is_false_positive.any()
    counting = replace(RULE, count_double_hits=True)
    assert marked_at(pair.second, 1.0, rule=counting).is_false_positive.sum() == 1


def test_where_nothing_may_be_shown_nothing_is_found() -> None:
    pair = paired(first=(found(0, (ASIDE, 0.9), (HIT, 0.8)), found(1), found(2)))
    marked = marked_at(pair.first, 0.1, rule=RULE)
    assert math.isinf(marked.score)
    assert not marked.is_found.any()
    assert not marked.is_false_positive.any()


@pytest.mark.parametrize("fppi", [0.0, -1.0, math.nan, math.inf])
def test_an_operating_point_is_a_positive_number(fppi: float) -> None:
    with pytest.raises(ValueError, match="fppi must be a positive number of false positives per image, got"):
        marked_at(paired().first, fppi, rule=RULE)


def test_lesions_are_counted_by_who_found_them() -> None:
    pair = paired()
    marks = [marked_at(each, 1.0, rule=RULE) for each in (pair.first, pair.second)]
    assert lesion_counts(*marks) == LesionCounts(both=1, only_first=1, only_second=1, neither=0)
    assert lesion_counts(*marks[::-1]) == LesionCounts(both=1, only_first=1, only_second=1, neither=0)


def test_lesions_found_by_one_alone_are_listed_with_both_scores() -> None:
    pair = paired()
    marks = [marked_at(each, 0.34, rule=RULE) for each in (pair.first, pair.second)]
    first, second, third = lesions_apart(pair, *marks)
    assert (first.image, first.lesion, first.by_second, first.score) == (0, 0, False, 0.9)
    assert math.isnan(first.other_score)
    assert second == LesionApart(image=0, lesion=1, by_second=True, score=0.8, other_score=0.3)
    assert (third.image, third.lesion, third.by_second, third.score) == (2, 0, True, 0.2)


def test_an_image_of_neither_list_is_refused_with_the_name_of_the_file() -> None:
    with pytest.raises(ManifestError, match=r"b\.json: 1 record ids are not among the images.*: 0{15}9\."):
        paired(second=(*SECOND, found(9)), names=("a.json", "b.json"))


def test_detectors_of_different_images_are_refused_with_what_only_one_holds() -> None:
    with pytest.raises(ManifestError) as caught:
        paired(first=FIRST[:2], second=SECOND[:1] + SECOND[2:], names=("a.json", "b.json"))
    assert str(caught.value) == (
        "the two detectors were not run on the same images: 1 only in a.json (0000000000000001), "
        "1 only in b.json (0000000000000002). Run predict for both on the same manifest and split."
    )


def test_an_image_missing_from_one_alone_is_a_difference_too() -> None:
    with pytest.raises(ManifestError, match=r"images: 1 only in the second detector \(0{15}0\)\. Run"):
        paired(first=FIRST[1:])


def test_many_ids_are_counted_and_few_named() -> None:
    strangers = tuple(found(n) for n in range(20, 30))
    with pytest.raises(ManifestError, match=r"the first detector: 10 record ids .*0018, …\. Compare"):
        paired(first=(*FIRST, *strangers))


def test_an_image_missing_from_both_is_refused() -> None:
    with pytest.raises(ManifestError, match="the first detector: 1 record ids have no entry"):
        paired(first=FIRST[:2], second=SECOND[1:])


def test_an_image_that_stands_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match="the second detector: 1 record ids have more than one entry"):
        paired(second=(*SECOND, SECOND[0]))


def test_scores_that_are_no_numbers_are_refused() -> None:
    broken = found(0, (HIT, math.nan))
    with pytest.raises(
        ManifestError, match=r"the first detector: record 0{16}, detection 0: the score must be"
    ):
        paired(first=(broken, *FIRST[1:]))


def test_without_images_or_lesions_a_difference_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="the split is empty"):
        paired(first=(), second=(), records=())
    normal = (record(1, patient="a"), record(2, [Lesion(HIT, label=1)]))
    with pytest.raises(UndefinedMetricError, match=r"2 images without a lesion of the scored label\. Name"):
        paired(first=(found(1), found(2)), second=(found(1), found(2)), records=normal)


def test_both_are_counted_by_the_whole_rule() -> None:
    pair = paired(rule=replace(RULE, level="patient", false_positives_on="normal"))
    assert (pair.n_lesions, pair.first.is_counted.tolist()) == (1, [False, True, False])
    first, second = (marked_at(each, 0.5, rule=RULE) for each in (pair.first, pair.second))
    assert (first.is_found.tolist(), second.is_found.tolist()) == ([True], [True])
    assert not first.is_false_positive.any()  # those on images with lesions do not count
    counts = lesion_counts(first, second)
    assert counts == LesionCounts(both=1, only_first=0, only_second=0, neither=0)


def test_what_a_record_lacks_is_no_fault_of_a_detector() -> None:
    with pytest.raises(UndefinedMetricError, match=r"^record 0{16}: level breast needs to know the breast"):
        paired(rule=replace(RULE, level="breast"))


def test_matches_counted_on_other_images_are_no_pair() -> None:
    normal, every = paired(rule=replace(RULE, false_positives_on="normal")), paired()
    with pytest.raises(ValueError, match="both detectors must be matched against the same lesions"):
        PairedMatches(normal.first, every.second, every.patient)


def test_matches_of_other_lesions_are_no_pair() -> None:
    pair, other = paired(), paired(records=(*RECORDS[:2], record(2)))
    with pytest.raises(ValueError, match="got 3 images with 3 lesions, 3 with 2, and 3 patients"):
        PairedMatches(pair.first, other.first, pair.patient)
    with pytest.raises(ValueError, match="and 2 patients"):
        PairedMatches(pair.first, pair.second, np.zeros(2, dtype=np.int64))
