from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mammo_monai.imaging import chest_wall_side


def breast(width: int, height: int, *, at_left: bool, reach: float = 0.8) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:height, :width] + 0.5
    depth = columns if at_left else width - columns
    shape = (depth / (reach * width)) ** 2 + ((rows - height / 2) / (0.45 * height)) ** 2 < 1
    return np.asarray(shape, dtype=np.bool_)


class TestChestWall:
    @given(
        width=st.integers(40, 200),
        height=st.integers(60, 200),
        at_left=st.booleans(),
        reach=st.floats(0.3, 0.95),
    )
    def test_lies_where_the_region_meets_the_edge_and_mirrors_with_it(
        self, width: int, height: int, at_left: bool, reach: float
    ) -> None:
        region = breast(width, height, at_left=at_left, reach=reach)
        assert chest_wall_side(region) == ("left" if at_left else "right")
        assert chest_wall_side(region[:, ::-1]) == ("right" if at_left else "left")
        assert chest_wall_side(region[::-1]) == ("left" if at_left else "right")

    @pytest.mark.parametrize(
        "region",
        [
            np.zeros((90, 60), np.bool_),
            np.ones((90, 60), np.bool_),
            np.pad(np.ones((50, 20), np.bool_), 20),
        ],
        ids=["none", "everywhere", "in the middle"],
    )
    def test_of_other_regions_is_unclear(self, region: NDArray[np.bool_]) -> None:
        assert chest_wall_side(region) is None

    def test_is_unclear_where_edge_and_centre_contradict(self) -> None:
        region = np.zeros((90, 60), np.bool_)
        region[:60, :4] = True
        region[10:80, 20:56] = True
        assert chest_wall_side(region) is None
