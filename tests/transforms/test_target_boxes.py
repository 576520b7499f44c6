from __future__ import annotations

import numpy as np
import pytest
import torch

from mammo_monai.transforms import ClipBoxesd, EnlargeBoxesd
from mammo_monai.transforms.sample import boxes_of
from tests.transforms.films import assert_same_sample, copy_of, film_sample


def test_boxes_grow_by_the_fraction_and_stop_at_the_border() -> None:
    sample = film_sample([(20.0, 60.0, 40.0, 100.0), (0.0, 0.0, 20.0, 10.0)])
    before = copy_of(sample)
    grown = boxes_of(EnlargeBoxesd(0.1)(sample))
    expected = np.array([[19, 58, 41, 102], [0, 0, 21, 10.5]])
    np.testing.assert_allclose(grown, expected, atol=1e-5)
    assert_same_sample(sample, before)


def test_zero_fraction_is_identity() -> None:
    assert_same_sample(EnlargeBoxesd(0.0)(film_sample()), film_sample())


@pytest.mark.parametrize("transform", [EnlargeBoxesd(), ClipBoxesd()])
def test_normal_image_stays_normal(transform: EnlargeBoxesd) -> None:
    assert_same_sample(transform(film_sample([])), film_sample([]))


def test_clipping_drops_slivers() -> None:
    sample = film_sample([]) | {
        "box": torch.tensor([[10.0, 100, 30, 140], [10, 118, 30, 158], [50, 60, 50.5, 90]]),
        "label": torch.tensor([1, 2, 3]),
    }
    cut = ClipBoxesd(0.25)(sample)
    assert boxes_of(cut).tolist() == [[100, 10, 120, 30]]
    assert cut["label"].tolist() == [1]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="fraction must not be negative"):
        EnlargeBoxesd(-0.1)
    with pytest.raises(ValueError, match=r"min_area_fraction must be in \[0, 1\]"):
        ClipBoxesd(2)
