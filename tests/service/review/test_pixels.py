"""Grey values for the page: the VOI LUT applied, halving sizes, and a cache with a limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.dicom import read_mammogram
from mammo_monai.service.review import pixels
from mammo_monai.service.review.pixels import GreyImage, PixelCache, halved, read_grey
from tests.dicom_factory import grey_ramp, write_mammogram


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom_shows_as_its_window_and_photometric_interpretation_say(
    tmp_path: Path, photometric: str
) -> None:
    window = {"WindowCenter": 4000, "WindowWidth": 3000}
    path = write_mammogram(tmp_path / "a.dcm", grey_ramp((30, 20)), photometric=photometric, tags=window)
    expected = read_mammogram(path)
    low, high = expected.output_range
    grey = read_grey(path)
    np.testing.assert_allclose(grey.values / 65535, (expected.pixels - low) / (high - low), atol=1e-5)
    assert grey.window == (0, 65535)  # the header's window fills the range


def test_without_a_window_a_burnt_in_label_does_not_darken_the_breast(tmp_path: Path) -> None:
    film = np.full((800, 600), 1000, dtype=np.uint16)
    film[:, :300] = 200
    film[:8, :8] = 16000
    grey = read_grey(write_mammogram(tmp_path / "a.dcm", film))
    assert grey.output_range == (0, 16383)
    assert [round(each / 65535 * 16383) for each in grey.window] == [200, 1000]


@pytest.mark.parametrize(
    ("mode", "array", "expected"),
    [
        ("L", np.array([[0, 255]], dtype=np.uint8), [0, 65535]),
        ("I;16", np.array([[0, 40000]], dtype=np.uint16), [0, 40000]),
        ("F", np.array([[-2.0, 2.0]], dtype=np.float32), [0, 65535]),
        ("1", np.array([[False, True]]), [0, 65535]),
        ("RGB", np.full((1, 2, 3), 255, dtype=np.uint8), [65535, 65535]),
    ],
)
def test_pictures_of_any_depth_fill_their_types_range(
    tmp_path: Path, mode: str, array: np.ndarray, expected: list[int]
) -> None:
    Image.fromarray(array).save(tmp_path / "a.tif")
    assert read_grey(tmp_path / "a.tif").values[0].tolist() == expected


@pytest.mark.parametrize("shape", [(7, 13), (16, 8), (1, 1)])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_smaller_size_holds_the_means_of_its_blocks(shape: tuple[int, int], level: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    small = halved(GreyImage(values, (0, 1), (0, 9)), level).values
    block = 2**level
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            rows = np.clip(np.arange(row * block, (row + 1) * block), 0, shape[0] - 1)
            columns = np.clip(np.arange(column * block, (column + 1) * block), 0, shape[1] - 1)
            assert abs(small[row, column] - values[np.ix_(rows, columns)].mean()) <= 0.5


def test_an_image_is_decoded_once_and_dropped_when_the_room_is_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> GreyImage:
        read.append(path)
        return GreyImage(np.zeros((10, 20), dtype=np.uint16), (0, 1), (0, 1))

    monkeypatch.setattr(pixels, "read_grey", counted)
    cache = PixelCache(lambda number: Path(str(number)), max_bytes=900)
    for number, level in ((0, 0), (0, 1), (0, 1), (1, 0), (0, 0), (2, 0), (0, 0)):
        assert cache.image(number, level).values.shape == (10 >> level, 20 >> level)
    assert [path.name for path in read] == ["0", "1", "2"]  # 0 was used again: 1 went
    cache.image(1, 0)
    assert [path.name for path in read] == ["0", "1", "2", "1"]
    with pytest.raises(ValueError, match=r"level must lie in \[0, 6\], got 7"):
        cache.image(0, 7)
