import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.apps.uncertainty import image_uncertainty, mark_uncertainty

probabilities = st.floats(1e-6, 1 - 1e-6)


def slow_entropy(score: float, threshold: float) -> float:
    """The same by odds: q / (1 − q) is the ratio of the odds of score and threshold."""
    ratio = score / (1 - score) / (threshold / (1 - threshold))
    q = min(max(ratio / (1 + ratio), 1e-7), 1 - 1e-7)
    return -(q * math.log(q) + (1 - q) * math.log(1 - q)) / math.log(2)


@given(score=probabilities, threshold=probabilities)
def test_entropy_agrees_with_the_odds(score: float, threshold: float) -> None:
    found = float(mark_uncertainty(np.array([score]), threshold)[0])
    assert found == pytest.approx(slow_entropy(score, threshold), abs=1e-6)
    assert 0 <= found <= 1 + 1e-12


@given(threshold=probabilities)
def test_a_mark_at_the_threshold_is_least_certain(threshold: float) -> None:
    scores = np.array([threshold, threshold / 2, (1 + threshold) / 2])
    found = mark_uncertainty(scores, threshold)
    assert found[0] == pytest.approx(1)
    assert found.argmax() == 0


def test_scores_of_0_and_1_are_certain() -> None:
    assert mark_uncertainty(np.array([0.0, 1.0]), 0.3).max() < 1e-4


@given(scores=st.lists(probabilities, max_size=6), threshold=probabilities)
def test_an_image_is_as_uncertain_as_its_least_certain_mark(scores: list[float], threshold: float) -> None:
    expected = max((slow_entropy(each, threshold) for each in scores), default=0.0)
    assert image_uncertainty(np.array(scores), threshold) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "threshold"), [([0.5], 0.0), ([0.5], 1.0), ([1.5], 0.5), ([math.nan], 0.5)]
)
def test_values_that_are_no_probabilities_are_refused(scores: list[float], threshold: float) -> None:
    with pytest.raises(ValueError, match="must be in"):
        mark_uncertainty(np.array(scores), threshold)
