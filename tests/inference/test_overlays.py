import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.inference.overlays import save_overlays
from mammo_monai.records import Detections, ImageRecord, Lesion
from mammo_monai.reports.pictures.overlays import MARK_COLOURS
from mammo_monai.transforms.prepared_file import Preparation, write_prepared

WIDTH, HEIGHT = 480, 640  # drawn twice as large


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[300:400, 100:180] = 120
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def _has(picture: Path, kind: str, x: int, y: int) -> bool:
    """Whether the mark's colour stands within three pixels of an original place."""
    colour = np.array([int(MARK_COLOURS[kind][n : n + 2], 16) for n in (1, 3, 5)])  # type: ignore[index]  # a literal
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    near = pixels[2 * y - 3 : 2 * y + 4, 2 * x - 3 : 2 * x + 4]
    return bool((np.abs(near - colour).sum(axis=2) == 0).any())


def _detections(image: Path | None, n: int = 1) -> Detections:
    boxes = np.array(
        [[100.0, 300, 180, 400], *[[200.0, 20 + 40 * k, 230, 50 + 40 * k] for k in range(n - 1)]]
    )
    return Detections("ab12", boxes, np.linspace(0.9, 0.1, n), np.zeros(n, dtype=np.int64), image)


def test_detections_and_lesions_are_drawn_where_they_are(image: Path, tmp_path: Path) -> None:
    lesion = Lesion((300.0, 500.0, 400.0, 560.0))
    record = ImageRecord(image, "ab12", "p", WIDTH, HEIGHT, (lesion,))
    pictures = save_overlays([_detections(image)], tmp_path / "out", records=[record])
    assert pictures == [tmp_path / "out" / "ab12.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.size == (2 * WIDTH, 2 * HEIGHT)
    assert _has(pictures[0], "hit", 100, 300)
    assert _has(pictures[0], "lesion", 400, 560)
    assert not _has(pictures[0], "lesion", 100, 300)


def test_only_the_best_marks_are_drawn(image: Path, tmp_path: Path) -> None:
    (picture,) = save_overlays([_detections(image, 4)], tmp_path, max_marks=3)
    assert _has(picture, "hit", 200, 60)
    assert not _has(picture, "hit", 200, 100)


def test_an_image_without_marks_gets_its_picture(image: Path, tmp_path: Path) -> None:
    assert len(save_overlays([Detections("none", image=image)], tmp_path / "new")) == 1


def test_detections_without_an_image_file_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert save_overlays([_detections(None)], tmp_path) == []
    assert "record ab12: no picture" in caplog.text


def test_on_a_prepared_copy_marks_lie_where_it_shows_them(tmp_path: Path) -> None:
    """The original of 640 × 480 px was cut by 160 columns, mirrored, then enlarged twice."""
    frame = ImageFrame(640, HEIGHT).then(Crop(160, 0, 240, 320)).then(Flip(240))
    frame = frame.then(Scale(240, 320, WIDTH, HEIGHT))
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
    about = Preparation("0" * 64, {}, "ab12", "0" * 64, "0" * 64, frame)
    write_prepared(tmp_path / "copy.png", pixels, about)
    found = Detections(
        "ab12",
        np.array([[180.0, 50, 200, 90]]),
        np.ones(1),
        np.zeros(1, dtype=np.int64),
        tmp_path / "copy.png",
    )
    (picture,) = save_overlays([found], tmp_path / "out")
    # Column 200 of the original is 40 of the crop, 200 of its mirror image, 400 of the copy.
    assert _has(picture, "hit", 400, 100)
    assert not _has(picture, "hit", 180, 50)
