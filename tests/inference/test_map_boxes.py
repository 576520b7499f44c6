import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_monai.inference.map_boxes import BoxRule, MapBoxes


def _hill(height: float = 0.9) -> NDArray[np.float32]:
    y, x = np.mgrid[0:20, 0:30]
    hill = height * np.exp(-((x - 12) ** 2 / 50 + (y - 8) ** 2 / 20))
    return np.asarray(hill, dtype=np.float32)


def test_a_peak_has_one_box_whatever_its_height() -> None:
    high, low = (MapBoxes(share_of_peak=0.5)(_hill(height)) for height in (0.9, 0.2))
    assert high.boxes.tolist() == low.boxes.tolist() == [[7, 5, 18, 12]]  # above half of the peak
    np.testing.assert_allclose([high.scores, low.scores], [[0.9], [0.2]], rtol=1e-6)


def test_levels_nest_and_keep_the_highest_of_those_that_are_alike() -> None:
    found = MapBoxes(rule="levels", thresholds=(0.1, 0.5, 0.55), max_iou=0.7)(_hill())
    assert found.scores.tolist() == [0.55, 0.1]
    inner, outer = found.boxes
    assert (outer[:2] < inner[:2]).all()
    assert (outer[2:] > inner[2:]).all()
    every = MapBoxes(rule="levels", thresholds=(0.1, 0.5, 0.7), max_iou=0.99)(_hill())
    assert every.scores.tolist() == [0.7, 0.5, 0.1]


def test_one_threshold_gives_the_regions_above_it() -> None:
    two = np.maximum(_hill(0.9), np.roll(_hill(0.6), 14, axis=1))
    found = MapBoxes(rule="threshold", thresholds=(0.5,))(two)
    assert found.boxes[:, 0].tolist() == [7, 23]
    np.testing.assert_allclose(found.scores, [0.9, 0.6], rtol=1e-6)
    assert found.labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("rule", "thresholds"), [("peaks", (0.05,)), ("levels", (0.05, 0.5)), ("threshold", (0.05,))]
)
def test_no_signal_gives_no_box_and_a_map_of_ones_one(rule: BoxRule, thresholds: tuple[float, ...]) -> None:
    rule_of = MapBoxes(rule=rule, thresholds=thresholds)
    assert rule_of(np.zeros((4, 7), dtype=np.float32)).boxes.shape == (0, 4)
    full = rule_of(np.ones((4, 7), dtype=np.float32))
    assert full.boxes.tolist() == [[0, 0, 7, 4]]
    assert full.scores.tolist() == [0.5 if rule == "levels" else 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "otsu"}, "rule must be peaks, levels or threshold, got 'otsu'"),
        ({"thresholds": ()}, r"thresholds must ascend within \[0, 1\), got \[\]"),
        ({"thresholds": (0.5, 0.5)}, "must ascend"),
        ({"thresholds": (0.5, 1.0)}, "must ascend"),
        ({"rule": "threshold"}, "takes one threshold, got 11: predict once for each"),
        ({"share_of_peak": 1.0}, r"share_of_peak must be in \(0, 1\)"),
        ({"max_iou": 1.0}, r"max_iou in \[0, 1\)"),
    ],
)
def test_settings_outside_their_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MapBoxes(**options)  # type: ignore[arg-type]  # wrong on purpose
