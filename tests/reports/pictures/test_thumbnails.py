"""Thumbnails: the whole image small, the breast outlined, and a reason without a path where there is none."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.reports.pictures.thumbnails import PictureError, make_thumbnail
from tests.dicom_factory import write_mammogram
from tests.reports.audit_scene import HEIGHT, WIDTH, write_picture


def breast(height: int = 600, width: int = 400, *, background: float = 0.0) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    distance = ((columns - width) / (0.7 * width)) ** 2 + ((rows - height / 2) / (0.35 * height)) ** 2
    return np.where(distance < 1, 0.5 + 0.3 * (1 - distance), background).astype(np.float32)


def grey(thumbnail) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(thumbnail.jpeg)))


def test_a_thumbnail_is_the_whole_image_at_its_own_shape() -> None:
    made = make_thumbnail(Path("x"), size_px=150, load_image=lambda _: breast())
    assert (made.width, made.height, made.image_width, made.image_height) == (100, 150, 400, 600)
    pixels = grey(made)
    assert pixels.shape == (150, 100)
    assert pixels[75, 90] > 200  # a right breast stays at the right
    assert pixels[75, 5] < 10


def test_a_small_image_is_not_blown_up(tmp_path: Path) -> None:
    made = make_thumbnail(write_picture(tmp_path / "a.png"), size_px=500)
    assert (made.width, made.height) == (WIDTH, HEIGHT)


def test_the_breast_is_outlined_in_shares_of_the_picture() -> None:
    made = make_thumbnail(Path("x"), size_px=300, load_image=lambda _: breast())
    x, y = np.array(made.outline).T
    assert x.min() == pytest.approx(0.3, abs=0.02)
    assert x.max() == pytest.approx(1.0, abs=0.01)
    assert [y.min(), y.max()] == pytest.approx([0.15, 0.85], abs=0.02)


def test_an_image_without_a_breast_has_no_outline() -> None:
    noise = np.random.default_rng(0).random((300, 200), dtype=np.float32)
    for pixels in (noise, np.zeros((30, 20), dtype=np.float32)):
        assert make_thumbnail(Path("x"), size_px=100, load_image=lambda _, p=pixels: p).outline == ()


def test_a_burnt_in_label_does_not_darken_the_breast() -> None:
    labelled = breast() * 0.3
    labelled[10:20, 10:40] = 1.0
    made = make_thumbnail(Path("x"), size_px=300, load_image=lambda _: labelled)
    assert grey(made)[150, 190] > 200


def test_an_image_for_processing_is_shown_too(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a.dcm", tags={"PresentationIntentType": "FOR PROCESSING"})
    assert make_thumbnail(path, size_px=100).image_width == 10


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-40])
    return path


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path, "the file is not there"),
        (lambda path: path.touch() or path, "the file is empty"),
        (lambda path: path.mkdir() or path, "a folder stands in its place"),
        (lambda path: path.write_text("words") and path, "the file holds no image of a known format"),
        (lambda path: _cut(write_picture(path)), "the file is damaged or cut short"),
        (
            lambda path: _cut(write_mammogram(path.with_suffix(".dcm"))),
            "the DICOM file is damaged, cut short",
        ),
    ],
)
def test_an_image_that_cannot_be_shown_has_a_reason_without_a_path(
    tmp_path: Path, write, reason: str
) -> None:
    path = write(tmp_path / "MARKER.png")
    with pytest.raises(PictureError, match=f"^{reason}") as caught:
        make_thumbnail(path, size_px=100)
    assert "MARKER" not in str(caught.value)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    def refused(path: Path):
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(PictureError, match="the file may not be read"):
        make_thumbnail(write_picture(tmp_path / "a.png"), size_px=100, load_image=refused)


def test_values_that_are_no_numbers_are_a_reason_and_no_crash(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png")
    with pytest.raises(PictureError, match="damaged"):
        make_thumbnail(path, size_px=50, load_image=lambda _: np.full((90, 60), np.nan, dtype=np.float32))
