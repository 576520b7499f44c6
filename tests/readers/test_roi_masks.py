"""What counts as an ROI mask, by content alone, and where its box lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.roi_masks import find_roi_masks, marked_pixels, shows_same_field
from tests.reference.mask_reference import reference_mask_box

SIZE = (60, 90)


@pytest.fixture
def write(dicom_writer: Any, tmp_path: Path) -> Any:
    def written(pixels: NDArray[Any], name: str = "1-2.dcm", **tags: Any) -> Path:
        path = tmp_path / name
        dicom_writer(path, pixels, **tags)
        return path

    return written


def mask_with(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    mask = np.zeros((size[1], size[0]), np.uint8)
    for x_min, y_min, x_max, y_max in boxes:
        mask[y_min:y_max, x_min:x_max] = 255
    return mask


def code_of(candidates: list[Path]) -> str:
    with pytest.raises(InvalidRecordError) as caught:
        find_roi_masks(candidates, *SIZE)
    return caught.value.code


@given(
    spots=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 89)), min_size=1, max_size=12, unique=True),
    value=st.sampled_from([1, 128, 255]),
)
def test_box_is_that_of_a_slow_search_over_all_pixels(
    tmp_path_factory: pytest.TempPathFactory, spots: list[tuple[int, int]], value: int
) -> None:
    mask = np.zeros((90, 60), np.uint8)
    for x, y in spots:
        mask[y, x] = value
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    Image.fromarray(mask).save(path)
    (found,) = find_roi_masks([path], *SIZE)
    assert found.box == reference_mask_box(mask)


def test_a_crop_is_none_because_of_its_size_and_a_film_because_of_its_greys(write: Any) -> None:
    crop = write(np.full((30, 30), 9, np.uint8), "crop.dcm")
    film = write(np.arange(5400, dtype=np.uint16).reshape(90, 60), "film.dcm")
    assert find_roi_masks([crop, film], *SIZE) == []


def test_a_binary_crop_does_not_hide_the_mask(write: Any) -> None:
    crop = write(np.eye(30, dtype=np.uint8), "crop.dcm")
    (mask,) = find_roi_masks([crop, write(mask_with((10, 20, 40, 50)))], *SIZE)
    assert mask.box == (10, 20, 40, 50)


def test_signed_pixels_may_mark_with_a_value_below_zero() -> None:
    # 65535 in 16 bits, where the header says that pixels are signed.
    mask = np.array([[0, -1, -1], [0, 0, 0]], np.int16)
    bright = marked_pixels(mask)
    assert bright is not None
    assert bright.tolist() == [[False, True, True], [False, False, False]]
    assert marked_pixels(np.array([[0, -1, 1], [0, 0, 0]], np.int16)) is None


def test_the_same_pixels_have_the_same_digest_whatever_their_value(write: Any) -> None:
    mask = mask_with((10, 20, 40, 50))
    files = [write(mask, "a.dcm"), write(mask // 255, "b.dcm"), write(mask_with((10, 20, 40, 51)), "c.dcm")]
    first, second, third = find_roi_masks(files, *SIZE)
    assert first.digest == second.digest != third.digest


class TestSizes:
    def test_another_size_is_scaled_per_axis(self, write: Any) -> None:
        path = write(mask_with((100, 0, 300, 901), size=(600, 901)))
        assert find_roi_masks([path], *SIZE)[0].box == (10, 0, 30, 90)

    @pytest.mark.parametrize(
        ("mask_height", "mask_width", "height", "width", "is_same"),
        [
            # Sizes as users published them (github.com/fjeg/ddsm_tools, issue 5).
            (5041, 2056, 4386, 1789, True),
            (5026, 2476, 4373, 2155, True),
            (5386, 3241, 4686, 2820, True),
            (5311, 3196, 4621, 2781, True),
            (5386, 3661, 4686, 3186, True),
            (4624, 3056, 4688, 3088, False),
            (4640, 3072, 4624, 3080, False),
        ],
    )
    def test_published_pairs_are_told_apart(
        self, mask_height: int, mask_width: int, height: int, width: int, is_same: bool
    ) -> None:
        assert shows_same_field((mask_width, mask_height), (width, height)) is is_same

    def test_another_aspect_ratio_is_refused(self, write: Any) -> None:
        path = write(mask_with((4, 3, 8, 9), size=(80, 90)))
        with pytest.raises(InvalidRecordError, match="80 × 90 px cannot belong to an image of 60 × 90 px"):
            find_roi_masks([path], *SIZE)
        assert code_of([path]) == "mask-aspect"


class TestSpecks:
    BIG = (600, 900)

    def test_are_left_out_of_the_box_and_counted(self, write: Any) -> None:
        mask = mask_with((100, 200, 400, 500), (5, 5, 7, 7), (590, 880, 591, 882), size=self.BIG)
        (found,) = find_roi_masks([write(mask)], *self.BIG)
        assert (found.box, found.parts, found.specks) == ((100, 200, 400, 500), 1, 2)

    def test_within_the_box_change_nothing(self, write: Any) -> None:
        mask = mask_with((100, 200, 400, 300), (100, 310, 400, 500), (200, 304, 202, 306), size=self.BIG)
        (found,) = find_roi_masks([write(mask)], *self.BIG)
        assert (found.box, found.parts, found.specks) == ((100, 200, 400, 500), 2, 0)

    def test_parts_of_some_size_belong_to_the_lesion(self, write: Any) -> None:
        mask = mask_with((100, 200, 400, 500), (420, 520, 432, 532), size=self.BIG)
        (found,) = find_roi_masks([write(mask)], *self.BIG)
        assert (found.box, found.parts, found.specks) == ((100, 200, 432, 532), 2, 0)

    def test_parts_that_touch_at_a_corner_are_one(self, write: Any) -> None:
        (found,) = find_roi_masks([write(mask_with((10, 20, 30, 40), (30, 40, 50, 60)))], *SIZE)
        assert (found.box, found.parts) == ((10, 20, 50, 60), 1)


class TestLossyMasks:
    def test_are_cut_at_half(self, tmp_path: Path) -> None:
        path = tmp_path / "mask.jpg"
        rows, columns = np.mgrid[:330, :240]
        disc = ((rows - 160) / 60.0) ** 2 + ((columns - 120) / 40.0) ** 2 < 1
        Image.fromarray(disc.astype(np.uint8) * 255).save(path, quality=75)
        assert len(np.unique(np.array(Image.open(path)))) > 10
        (found,) = find_roi_masks([path], 240, 330)
        np.testing.assert_allclose(found.box, (81, 101, 160, 220), atol=1)

    def test_a_film_of_the_same_size_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "film.jpg"
        grey = np.add.outer(np.arange(330), np.arange(240)) % 256
        Image.fromarray(grey.astype(np.uint8)).save(path)
        assert find_roi_masks([path], 240, 330) == []

    def test_a_soft_disc_is_no_mask_where_copies_are_lossless(self) -> None:
        soft = np.zeros((9, 7), np.uint8)
        soft[3:6, 2:5] = 255
        soft[2, 2:5] = 100
        assert marked_pixels(soft) is None
        assert marked_pixels(soft, lossy=True) is not None

    def test_pictures_in_colour_count_by_their_luminance(self, tmp_path: Path) -> None:
        path = tmp_path / "mask.png"
        Image.fromarray(mask_with((10, 20, 40, 50))).convert("RGB").save(path)
        assert find_roi_masks([path], *SIZE)[0].box == (10, 20, 40, 50)


class TestFaults:
    def test_all_zero(self, write: Any) -> None:
        assert code_of([write(mask_with())]) == "mask-empty"

    def test_all_one(self, write: Any) -> None:
        assert code_of([write(mask_with((0, 0, 60, 90)))]) == "mask-full"

    def test_cut_off(self, write: Any) -> None:
        path = write(mask_with((10, 20, 40, 50)))
        path.write_bytes(path.read_bytes()[:-2000])
        assert code_of([path]) == "mask-unreadable"

    def test_no_image_at_all(self, tmp_path: Path) -> None:
        paths = [tmp_path / name for name in ("1-2.dcm", "2.jpg", "3.png")]
        for path in paths:
            path.write_bytes(b"half a download")
            assert code_of([path]) == "mask-unreadable"

    def test_an_unreadable_neighbour_hides_nothing(self, write: Any, tmp_path: Path) -> None:
        broken = tmp_path / "1-1.dcm"
        broken.write_bytes(b"half a download")
        assert len(find_roi_masks([broken, write(mask_with((10, 20, 40, 50)))], *SIZE)) == 1

    def test_a_header_without_a_size(self, write: Any) -> None:
        assert code_of([write(np.eye(9, dtype=np.uint8), Rows=None)]) == "mask-unreadable"

    def test_no_candidate_is_no_mask(self) -> None:
        assert find_roi_masks([], *SIZE) == []
