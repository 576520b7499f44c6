from __future__ import annotations

import numpy as np
import pytest
import torch

from mammo_monai.data.patch_cutting import UPRIGHT, PatchPlacement, cut_patch, draw_placement

PIXELS = np.random.default_rng(0).integers(0, 65536, (90, 60)).astype(np.uint16)
GREY = torch.from_numpy(PIXELS.astype(np.float32) / np.float32(65535))


def smooth() -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """A bright blob at (40, 30), no symmetry: bilinear resampling is exact to a per cent or so."""
    rows, columns = np.mgrid[:90, :60] + 0.5
    blob = np.exp(-(((columns - 40) / 8) ** 2) - ((rows - 30) / 5) ** 2)
    return (40000 * blob + 10000).astype(np.uint16)


def test_an_upright_patch_is_the_image_s_own_pixels() -> None:
    patch = cut_patch(PIXELS, (20.0, 50.0), 16)
    assert patch.dtype == torch.float32
    assert torch.equal(patch[0], GREY[42:58, 12:28])


def test_an_odd_patch_is_copied_too() -> None:
    assert torch.equal(cut_patch(PIXELS, (20.5, 50.5), 15)[0], GREY[43:58, 13:28])


@pytest.mark.parametrize("centre", [(2.0, 3.0), (59.0, 88.0), (-40.0, 20.0), (200.0, 300.0)])
def test_what_lies_outside_the_image_is_zero(centre: tuple[float, float]) -> None:
    patch = cut_patch(PIXELS, centre, 16)[0]
    padded = torch.zeros((490, 460))
    padded[200:290, 200:260] = GREY
    x, y = int(centre[0]) + 192, int(centre[1]) + 192
    if x < 444 and y < 474:
        assert torch.equal(patch, padded[y : y + 16, x : x + 16])
    else:
        assert not patch.any()
    turned = cut_patch(PIXELS, centre, 16, PatchPlacement(20.0))
    assert turned.shape == (1, 16, 16)


def test_resampling_without_turn_or_scale_gives_the_same_pixels() -> None:
    # By a mirror and back: the only placement that resamples onto whole pixels.
    mirrored = cut_patch(PIXELS, (20.0, 50.0), 16, PatchPlacement(is_flipped=True))
    torch.testing.assert_close(mirrored[0].flip(-1), GREY[42:58, 12:28], atol=2e-5, rtol=0)


def test_a_turn_is_clockwise_as_displayed() -> None:
    turned = cut_patch(PIXELS, (20.0, 50.0), 16, PatchPlacement(90.0))
    torch.testing.assert_close(turned[0], torch.rot90(GREY[42:58, 12:28], -1), atol=2e-5, rtol=0)


def test_the_centre_stays_and_corners_come_from_the_surroundings() -> None:
    pixels = smooth()
    for angle, scale, flip in ((30.0, 0.75, True), (-17.0, 1.25, False), (25.0, 1.0, True)):
        patch = cut_patch(pixels, (40.0, 30.0), 16, PatchPlacement(angle, scale, flip))[0]
        middle = patch[7:9, 7:9]
        assert (middle > patch.max() - 0.02).all()
        assert patch[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 0.15  # tissue is 10000 of 65535


def test_a_larger_scale_shows_less_of_the_film_larger() -> None:
    pixels = smooth()
    bright = [
        int((cut_patch(pixels, (40.0, 30.0), 20, PatchPlacement(scale=each)) > 0.45).sum())
        for each in (0.75, 1.0001, 1.25)
    ]
    assert bright[0] < bright[1] < bright[2]
    assert bright[2] / bright[0] == pytest.approx((1.25 / 0.75) ** 2, rel=0.15)


def test_draws_fill_p3_s_ranges_and_none_draws_nothing() -> None:
    generator = np.random.default_rng(0)
    drawn = [draw_placement("p3", generator) for _ in range(400)]
    angles, scales = [each.angle_deg for each in drawn], [each.scale for each in drawn]
    assert -30 <= min(angles) < -28
    assert 28 < max(angles) <= 30
    assert 0.75 <= min(scales) < 0.77
    assert 1.23 < max(scales) <= 1.25
    assert 0.4 < np.mean([each.is_flipped for each in drawn]) < 0.6
    assert draw_placement("none", generator) == UPRIGHT


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match="augment of patches must be none or p3, got 'p2'"):
        draw_placement("p2", np.random.default_rng(0))  # type: ignore[arg-type]  # what is refused
