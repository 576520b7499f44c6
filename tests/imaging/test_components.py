import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mammo_monai.imaging.components import peak_regions, regions_above
from tests.reference.probability_map_reference import component_boxes, distinct_peaks

# Few values, so that plateaus and equal peaks are common; float32, as maps are.
SOME_VALUES = st.sampled_from([np.float32(each) for each in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)])
MAPS = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=SOME_VALUES)


@settings(deadline=None)
@given(values=MAPS, level=st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_regions_above_a_level_agree_with_flooding(values: NDArray[np.float32], level: float) -> None:
    found = regions_above(values, level)
    assert sorted(map(tuple, found.boxes.tolist())) == sorted(component_boxes(values.astype(float), level))
    assert (np.diff(found.peaks) <= 0).all()
    for box, peak in zip(found.boxes.astype(int), found.peaks, strict=True):
        assert values[box[1] : box[3], box[0] : box[2]].max() >= peak > level


@settings(deadline=None)
@given(values=MAPS, share=st.sampled_from([0.3, 0.5, 0.8]), least=st.sampled_from([0.0, 0.2]))
def test_peaks_agree_with_flooding_from_every_pixel(
    values: NDArray[np.float32], share: float, least: float
) -> None:
    found = peak_regions(values, share_of_peak=share, min_peak=least)
    ours = {(peak, tuple(box)) for peak, box in zip(found.peaks.tolist(), found.boxes.tolist(), strict=True)}
    assert ours == set(distinct_peaks(values.astype(float), share, least))
    assert (np.diff(found.peaks) <= 0).all()


def test_a_plateau_is_one_peak_and_an_empty_map_none() -> None:
    ones = peak_regions(np.ones((3, 5), dtype=np.float32), share_of_peak=0.5, min_peak=0.05)
    assert ones.boxes.tolist() == [[0, 0, 5, 3]]
    assert ones.peaks.tolist() == [1.0]
    nothing = np.zeros((3, 5), dtype=np.float32)
    for found in (
        peak_regions(nothing, share_of_peak=0.5, min_peak=0.05),
        peak_regions(nothing, share_of_peak=0.5, min_peak=0.0),
        regions_above(nothing, 0.0),
    ):
        assert found.boxes.shape == (0, 4)
        assert found.peaks.shape == (0,)


def test_a_shoulder_belongs_to_its_peak_and_a_lower_peak_apart_is_its_own() -> None:
    shoulder = np.array([[0.0, 1.0, 0.6, 0.7, 0.0]], dtype=np.float32)
    assert peak_regions(shoulder, share_of_peak=0.5, min_peak=0.1).boxes.tolist() == [[1, 0, 4, 1]]
    apart = np.array([[0.0, 1.0, 0.3, 0.7, 0.0]], dtype=np.float32)
    assert peak_regions(apart, share_of_peak=0.5, min_peak=0.1).boxes.tolist() == [[1, 0, 2, 1], [3, 0, 4, 1]]


@pytest.mark.parametrize(("share", "least"), [(0.0, 0.1), (1.0, 0.1), (0.5, -0.1)])
def test_a_setting_outside_its_range_is_refused(share: float, least: float) -> None:
    with pytest.raises(ValueError, match=r"share_of_peak must be in \(0, 1\)"):
        peak_regions(np.ones((1, 2), dtype=np.float32), share_of_peak=share, min_peak=least)
