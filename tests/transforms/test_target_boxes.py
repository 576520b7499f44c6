from __future__ import annotations

import numpy as np
import pytest
import torch

from mammo_monai.transforms import ClipBoxesd, EnlargeBoxesd, MergeBoxesd
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


def test_overlapping_boxes_of_one_label_merge_in_order() -> None:
    sample = film_sample([(60.0, 60, 80, 80), (0.0, 0, 10, 10), (70.0, 70, 90, 90), (5.0, 5, 15, 15)])
    sample["label"] = torch.tensor([0, 0, 0, 1])
    merged = MergeBoxesd()(sample)
    assert boxes_of(merged).tolist() == [[60, 60, 90, 90], [0, 0, 10, 10], [5, 5, 15, 15]]
    assert merged["label"].tolist() == [0, 0, 1]


def test_merging_needs_more_overlap_than_min_iou() -> None:
    sample = film_sample([(0.0, 0, 10, 10), (5.0, 0, 15, 10)]) | {"label": torch.zeros(2, dtype=torch.int64)}
    assert len(MergeBoxesd(0.3)(sample)["box"]) == 1
    assert len(MergeBoxesd(0.34)(sample)["box"]) == 2


@pytest.mark.parametrize("transform", [EnlargeBoxesd(), MergeBoxesd(), ClipBoxesd()])
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
    with pytest.raises(ValueError, match=r"min_iou must be in \[0, 1\]"):
        MergeBoxesd(1.5)
    with pytest.raises(ValueError, match=r"min_area_fraction must be in \[0, 1\]"):
        ClipBoxesd(2)
