"""The rules a changed review must keep to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mammo_monai.records import Detections
from mammo_monai.service.review import ReviewError
from mammo_monai.service.review.marks import fresh_review, review_from_json, review_json
from tests.service.review.scene import own_box

SIZE = (60, 90)
FRESH = fresh_review(
    Detections("a", np.array([[1.0, 2, 11, 22], [30, 40, 50, 70]]), np.array([0.2, 0.7]), np.array([0, 7])),
    threshold=0.5,
)


def read(content: object) -> Any:
    return review_from_json("image 1", content, fresh=FRESH, size=SIZE)


def changed(**fields: object) -> dict[str, Any]:
    return {**review_json(FRESH), **fields}


def mark(n: int, **fields: object) -> dict[str, Any]:
    """The review with one mark changed."""
    marks = review_json(FRESH)["marks"]
    marks[n] = {**marks[n], **fields}
    return changed(marks=marks)


def test_a_fresh_review_has_the_models_marks_highest_score_first_without_a_verdict() -> None:
    assert [(each.id, each.score, each.label, each.verdict) for each in FRESH.marks] == [
        ("m1", 0.7, 7, None),
        ("m2", 0.2, 0, None),
    ]
    assert [each.id for each in FRESH.undecided()] == ["m1"]  # m2 is below the slider


def test_a_review_comes_back_from_its_json_as_it_was() -> None:
    assert read(review_json(FRESH)) == FRESH


def test_boxes_of_the_model_can_be_moved_relabelled_and_judged_and_own_ones_added() -> None:
    content = mark(0, box=[0, 0, 60, 90], label=1, verdict="rejected", comment="skin fold")
    content["marks"].append(own_box([1.5, 2, 3, 4.25]))
    review = read(content)
    assert review.marks[0].box == (0.0, 0.0, 60.0, 90.0)
    assert [each.id for each in review.accepted] == ["r1"]


def test_a_box_the_model_put_outside_the_image_stays_as_it_is_until_it_is_moved() -> None:
    fresh = fresh_review(
        Detections("a", np.array([[-3.0, 1, 4, 5]]), np.array([0.9]), np.zeros(1, dtype=int)), 0.0
    )
    assert review_from_json("x", review_json(fresh), fresh=fresh, size=SIZE) == fresh


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object, got list"),
        (changed(marks="all"), "marks must be a list"),
        (changed(marks=[3]), "mark 1: expected an object, got int"),
        (changed(marks=[]), "the model's mark m1 is gone"),
        (changed(marks=[own_box([1, 1, 5, 5])] * 2 + review_json(FRESH)["marks"]), "the same id"),
        (changed(revision=-1), "revision must be a whole number"),
        (changed(threshold="low"), "threshold must be a finite number"),
        (changed(is_reviewed=1), "is_reviewed must be true or false"),
        (changed(comment="x" * 2001), "comment must be text of at most 2000"),
        (changed(is_reviewed=True), "needs the reader's initials"),
        (changed(is_reviewed=True, reader="AB"), "1 of the marks shown have no verdict"),
        (mark(0, score=0.9), "the score of m1 is the model's"),
        (mark(0, source="reader"), "m1 must come from the model"),
        (mark(0, verdict="perhaps"), "verdict must be accepted, rejected or null"),
        (mark(0, label=9), "label must be one of"),
        (mark(0, label=[0]), "label must be one of"),
        (mark(0, id=""), "expected an id"),
        (mark(0, box=[0, 0, 61, 90]), "outside the image of 60 × 90 px"),
        (mark(0, box=[5, 5, 5.5, 40]), "at least 1 px wide and high"),
        (mark(0, box=[5, 5, float("nan"), 40]), "is not finite"),
        (mark(0, box=[]), "mark 1"),
        (mark(0, box="here"), "mark 1"),
        (
            changed(marks=[*review_json(FRESH)["marks"], {**own_box([1, 1, 5, 5]), "verdict": None}]),
            "delete it",
        ),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused_with_the_rule(content: object, message: str) -> None:
    with pytest.raises(ReviewError, match=message):
        read(content)
