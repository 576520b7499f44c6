"""The working copy: small, and back at the image's size."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_monai.imaging.working_copy import enlarged, working_copy


@pytest.mark.parametrize("shape", [(1, 1), (30, 47), (479, 300), (961, 600), (1700, 2303), (4432, 2864)])
@pytest.mark.parametrize("longer_side_px", [240, 480])
def test_the_copy_is_about_as_long_as_asked_and_its_mask_comes_back(
    shape: tuple[int, int], longer_side_px: int
) -> None:
    image = np.zeros(shape, dtype=np.uint16)
    image[: shape[0] // 2 + 1, : shape[1] // 3 + 1] = 60_000
    copy = working_copy(image, longer_side_px)
    assert max(copy.pixels.shape) <= 1.6 * longer_side_px
    if max(shape) > longer_side_px:
        assert max(copy.pixels.shape) > 0.6 * longer_side_px
    back = enlarged(copy.pixels > 30_000, copy, shape)
    assert back.shape == shape
    wrong_rows = np.flatnonzero((back != (image > 0))[:, 0])
    assert len(wrong_rows) <= copy.step_px


def test_the_copy_holds_the_mean_of_each_square() -> None:
    image = np.arange(12.0).reshape(2, 6)
    np.testing.assert_allclose(working_copy(image, 3).pixels, [[3.5, 5.5, 7.5]])
