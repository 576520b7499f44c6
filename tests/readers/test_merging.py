from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.readers import Audit, merge_overlapping_lesions
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Action, Finding, Manifest
from tests.strategies import records

CONTOUR = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0))


def lesion(x: float, name: str = "", **fields: object) -> Lesion:
    """10 × 10 px at column `x`; two of them 5 px apart have an IoU of 1/3."""
    return replace(Lesion((x, 0.0, x + 10.0, 10.0), name), **fields)


def merged(*lesions: Lesion, min_iou: float = 0.0, audit: Audit | None = None) -> tuple[Lesion, ...]:
    record = ImageRecord(Path("a.png"), "0f", "p", width=99, height=99, lesions=lesions)
    manifest = Manifest(validation=(record,), path=Path("m.json"))
    found = merge_overlapping_lesions(manifest, min_iou=min_iou, audit=audit)
    assert (found.training, found.test, found.path) == ((), (), Path("m.json"))
    assert replace(found.validation[0], lesions=()) == replace(record, lesions=())
    return found.validation[0].lesions


def test_joined_lesions_have_the_box_around_all_and_what_all_agree_on() -> None:
    first = lesion(0, "1", area_mm2=9.0, contour=CONTOUR, pathology="BENIGN", birads=4, subtlety=5)
    second = lesion(5, "2", area_mm2=9.0, contour=CONTOUR, pathology="BENIGN", birads=5)
    expected = Lesion((0.0, 0.0, 15.0, 10.0), "1+2", "mass", pathology="BENIGN")
    assert merged(first, second) == (expected,)


def test_the_order_is_that_of_the_first_members_and_others_stay_as_they_are() -> None:
    alone = lesion(50, "2", area_mm2=3.0, contour=CONTOUR, birads=2)
    found = merged(lesion(0, "1"), alone, lesion(5, "3"))
    assert [each.id for each in found] == ["1+3", "2"]
    assert found[1] is alone


def test_a_chain_is_one_lesion() -> None:
    assert [each.box for each in merged(lesion(0), lesion(16), lesion(8))] == [(0, 0, 26, 10)]


def test_min_iou_must_be_exceeded() -> None:
    pair = (lesion(0), lesion(5))
    assert len(merged(*pair, min_iou=0.33)) == 1
    assert merged(*pair, min_iou=1 / 3) == pair
    assert len(merged(lesion(0), lesion(10))) == 2  # they touch


def test_lesions_of_different_labels_stay_apart() -> None:
    found = merged(lesion(0, "1"), lesion(0, "2", label=1), lesion(0, "3", label=1), lesion(1, "4"))
    assert [(each.id, each.label) for each in found] == [("1+4", 0), ("2+3", 1)]
    found = merged(lesion(0, "1", label=1), lesion(0, "2"), lesion(1, "3"))
    assert [(each.id, each.label) for each in found] == [("1", 1), ("2+3", 0)]


def test_ids_that_are_missing_leave_no_plus_and_types_are_named_once() -> None:
    (found,) = merged(lesion(0, type="a"), lesion(1, "x", type="b"), lesion(2, type="a"))
    assert (found.id, found.type) == ("x", "a+b")


def test_the_words_of_joined_types_stand_once_and_known_ones_first() -> None:
    (found,) = merged(lesion(0, type="mass"), lesion(1, type="mass+calcification"))
    assert found.type == "mass+calcification"
    first, second = lesion(0, type="other+skin thickening", label=4), lesion(1, type="other", label=4)
    assert merged(first, second)[0].type == "other+skin thickening"


def test_dots_stay_as_they_are_and_join_nothing() -> None:
    dot = lesion(0, "1", label=1, contour=((5.0, 5.0),))
    pair = lesion(2, "2", label=1, contour=((3.0, 1.0), (11.0, 9.0)))
    cluster = lesion(1, "3", label=1, contour=CONTOUR)
    assert merged(dot, pair, cluster) == (dot, pair, cluster)
    assert merged(dot, pair) == (dot, pair)
    found = merged(cluster, dot, lesion(4, "4", label=1))
    assert [each.id for each in found] == ["3+4", "1"]


def test_each_changed_image_has_a_row_and_no_other() -> None:
    audit = Audit()
    merged(lesion(0), lesion(5), lesion(50), audit=audit)
    merged(lesion(0), lesion(50), audit=audit)
    merged(audit=audit)
    said = "3 lesions, 2 where overlapping ones are merged"
    assert audit.findings == [Finding("lesions-merged", "0f", said, Action.REPAIRED)]


@given(record=records(), min_iou=st.sampled_from([0.0, 0.2, 0.9]))
def test_no_lesion_is_lost_and_every_box_lies_in_one_of_its_label(
    record: ImageRecord, min_iou: float
) -> None:
    found = merge_overlapping_lesions(Manifest(test=(record,)), min_iou=min_iou).test[0].lesions
    assert bool(found) == bool(record.lesions)
    assert len(found) <= len(record.lesions)
    for each in record.lesions:
        assert any(
            other.label == each.label
            and other.box[0] <= each.box[0]
            and other.box[1] <= each.box[1]
            and other.box[2] >= each.box[2]
            and other.box[3] >= each.box[3]
            for other in found
        )


@pytest.mark.parametrize("min_iou", [-0.1, 1.0, float("nan")])
def test_an_iou_that_cannot_be_is_refused(min_iou: float) -> None:
    with pytest.raises(ValueError, match="min_iou must be at least 0 and below 1, got"):
        merge_overlapping_lesions(Manifest(), min_iou=min_iou)
