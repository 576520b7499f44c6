"""The working copy is small, and holds means."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_monai.imaging.working_copy import working_copy


@pytest.mark.parametrize("shape", [(1, 1), (30, 47), (479, 300), (961, 600), (1700, 2303), (4432, 2864)])
@pytest.mark.parametrize("longer_side_px", [240, 480])
def test_the_copy_is_about_as_long_as_asked(shape: tuple[int, int], longer_side_px: int) -> None:
    copy = working_copy(np.zeros(shape, dtype=np.uint16), longer_side_px)
    assert max(copy.pixels.shape) <= 1.6 * longer_side_px
    if max(shape) > longer_side_px:
        assert max(copy.pixels.shape) > 0.6 * longer_side_px
    rows = -(-shape[0] // copy.step_px), shape[0] // copy.step_px
    assert min(rows) - 1 <= copy.pixels.shape[0] <= max(rows) + 1


def test_the_copy_holds_the_mean_of_each_square() -> None:
    image = np.arange(12.0).reshape(2, 6)
    np.testing.assert_allclose(working_copy(image, 3).pixels, [[3.5, 5.5, 7.5]])
