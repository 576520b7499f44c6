"""The share of pairs in order, whole and with patients drawn again, against a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.ratings import Ratings, check_same_cases, rank_area, resampled_areas
from tests.reference import roc_reference

LEVELS = st.sampled_from([-np.inf, 0.1, 0.25, 0.5, 0.9])
N_PATIENTS = 4


@st.composite
def ratings(draw: st.DrawFn) -> Ratings:
    """Up to eight of each kind, of four patients, with ties, unmarked ones and unequal weights."""
    rows = st.lists(st.tuples(LEVELS, st.integers(0, N_PATIENTS - 1)), min_size=1, max_size=8)
    positives, negatives = draw(rows), draw(rows)
    weight = draw(
        st.none()
        | st.lists(st.sampled_from([1.0, 0.5, 1 / 3]), min_size=len(positives), max_size=len(positives))
    )
    return Ratings(
        np.array([value for value, _ in positives]),
        np.array([value for value, _ in negatives]),
        np.array([of for _, of in positives]),
        np.array([of for _, of in negatives]),
        N_PATIENTS,
        None if weight is None else np.array(weight),
    )


def made(positive: list[float], negative: list[float], /, **changes) -> Ratings:
    values = {
        "positive": np.array(positive),
        "negative": np.array(negative),
        "positive_patient": np.arange(len(positive)),
        "negative_patient": len(positive) + np.arange(len(negative)),
        "n_patients": len(positive) + len(negative),
    }
    return Ratings(**{**values, **changes})


@settings(max_examples=40, deadline=None)
@given(given_ratings=ratings())
def test_the_area_is_that_of_all_pairs(given_ratings: Ratings) -> None:
    weight = None if given_ratings.weight is None else given_ratings.weight.tolist()
    expected = roc_reference.area(given_ratings.positive.tolist(), given_ratings.negative.tolist(), weight)
    assert rank_area(given_ratings) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(given_ratings=ratings(), counts=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_weights_count_patients_as_copies_of_their_ratings_would(
    given_ratings: Ratings, counts: list[int]
) -> None:
    each = given_ratings
    weight = np.ones(len(each.positive)) if each.weight is None else each.weight
    copies = np.repeat(np.arange(len(each.positive)), np.array(counts)[each.positive_patient])
    others = np.repeat(each.negative, np.array(counts)[each.negative_patient])
    expected = roc_reference.area(each.positive[copies].tolist(), others.tolist(), weight[copies].tolist())
    drawn = resampled_areas(each, np.array([counts, counts]))
    np.testing.assert_allclose(drawn, [np.nan if expected is None else expected] * 2, atol=1e-12)


@pytest.mark.parametrize(
    ("positive_patient", "negative_patient", "n_pairs"),
    [
        ([0, 1, 2], [3, 4, 5], 3),
        ([0, 0, 0], [3, 4, 5], 1),
        ([0, 1, 2], [0, 1, 2], 1),  # three patients with both kinds: one pair, one left over
        ([0, 1, 2], [2, 3, 4], 2),
        ([0, 0, 0], [0, 0, 0], 0),
    ],
)
def test_disjoint_pairs_use_each_patient_once(positive_patient, negative_patient, n_pairs: int) -> None:
    each = made(
        [1.0, 2.0, 3.0],
        [0.0, 0.0, 0.0],
        positive_patient=np.array(positive_patient),
        negative_patient=np.array(negative_patient),
    )
    assert each.n_disjoint_pairs == n_pairs


def test_only_ratings_wholly_apart_are_separated() -> None:
    assert made([2.0, 3.0], [0.0, -np.inf]).is_separated
    assert made([-np.inf], [0.0, 1.0]).is_separated
    assert not made([2.0, 3.0], [2.0]).is_separated


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positive_patient": np.arange(1)}, "2 positives of 1 and 1 negatives of 1 patients"),
        ({"negative": np.array([np.nan])}, "got NaN. A unit without one is rated -infinity"),
        ({"positive": np.array([np.nan, 1.0])}, "got NaN"),
        ({"n_patients": 2}, "numbered from 0 to 1"),
        ({"negative_patient": np.array([-1])}, "numbered from 0 to 2"),
        ({"weight": np.ones(3)}, "one weight above 0 per positive"),
        ({"weight": np.array([1.0, 0.0])}, "one weight above 0 per positive"),
    ],
)
def test_ratings_that_cannot_be_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made([1.0, 2.0], [0.0], **changes)


@pytest.mark.parametrize(("positive", "negative"), [([], [0.0]), ([1.0], []), ([], [])])
def test_an_area_without_one_kind_is_undefined(positive, negative) -> None:
    with pytest.raises(UndefinedMetricError, match="needs positives and negatives"):
        made(positive, negative)


def test_two_of_other_cases_are_no_pair() -> None:
    first = made([1.0, 2.0], [0.0])
    check_same_cases(first, made([0.0, 0.0], [5.0]))
    for other in (made([1.0], [0.0, 0.0]), made([1.0, 2.0], [0.0], weight=np.array([1.0, 0.5]))):
        with pytest.raises(ValueError, match="the same cases of the same patients: got 2 positives and 1"):
            check_same_cases(first, other)
