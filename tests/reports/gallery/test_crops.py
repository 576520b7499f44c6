"""Crops hold the original pixels near a finding; marks lie over them in original pixels."""

from __future__ import annotations

import base64
import logging
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.reports.gallery.crops import CROP_PX, Crop, crop_around, crop_items, marks_svg, place_svg
from mammo_monai.reports.gallery.items import GalleryItem, Marked

WIDTH, HEIGHT = 300, 500
BOX = (100.0, 200.0, 140.0, 230.0)


def item_of(number: int = 0, box=BOX, **more) -> GalleryItem:
    record = ImageRecord(Path(f"{number}.png"), f"{number:016x}", "p", WIDTH, HEIGHT, (Lesion(box),))
    values = {"lesions": record.lesions, "marked": (), "score": 0.5, "overlap": 0.0, **more}
    return GalleryItem("hits", record, box, what="mass, 40 px", how="", group="all", **values)


def picture_of(crop: Crop) -> np.ndarray:
    data = base64.b64decode(crop.uri.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(BytesIO(data)))


def test_a_small_crop_keeps_every_original_pixel_and_follows_its_box() -> None:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    pixels[200:230, 100:140] = 1.0
    crop = crop_around(pixels, BOX)
    # 2.5 × 40 px about the centre (120, 215).
    assert crop.region == (70.0, 165.0, 170.0, 265.0)
    assert (crop.width, crop.height) == (100, 100)
    seen = picture_of(crop)
    assert seen.shape == (100, 100)
    assert seen[37:63, 32:68].min() > 240
    assert max(seen[:30].max(), seen[70:].max(), seen[:, :25].max()) < 15


def test_a_large_crop_is_made_smaller_and_never_larger() -> None:
    crop = crop_around(np.zeros((1500, 1200), dtype=np.float32), (200.0, 300.0, 600.0, 700.0))
    assert crop.region[2] - crop.region[0] == 1000.0
    assert (crop.width, crop.height) == (CROP_PX, CROP_PX)


def test_a_crop_at_the_border_stays_inside_the_image() -> None:
    crop = crop_around(np.zeros((HEIGHT, WIDTH), dtype=np.float32), (-5.0, 480.0, 35.0, 505.0))
    assert crop.region == (0.0, 400.0, 100.0, 500.0)


def test_each_image_is_read_once_and_crops_come_in_order() -> None:
    loaded: list[Path] = []

    def load(path: Path) -> np.ndarray:
        loaded.append(path)
        return np.full((HEIGHT, WIDTH), 0.2 * (1 + int(path.stem)), dtype=np.float32)

    crops = crop_items([item_of(0), item_of(1), item_of(0, (10.0, 10.0, 30.0, 30.0))], load)
    assert loaded == [Path("0.png"), Path("1.png")]
    assert [round(float(picture_of(crop).mean())) for crop in crops] == [51, 102, 51]
    assert crops[2].region != crops[0].region
    assert crop_items([], load) == []


def test_an_image_that_cannot_be_read_is_named_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    def load(path: Path) -> np.ndarray:
        if path.stem == "0":
            raise SyntaxError("broken PNG file of Doe^Jane")  # as a decoder does
        return np.zeros((HEIGHT, WIDTH), dtype=np.float32)

    crops = crop_items([item_of(0), item_of(1)], load)
    assert (crops[0].uri, crops[0].failure) == ("", "The image could not be read.")
    assert crops[1].uri
    assert "record 0000000000000000 is shown without pictures" in caplog.text
    assert "Doe" not in caplog.text


def test_an_image_of_another_size_is_not_marked(caplog: pytest.LogCaptureFixture) -> None:
    def load(path: Path) -> np.ndarray:
        return np.zeros((HEIGHT, WIDTH - 1), dtype=np.float32)

    item = item_of()
    failure = crop_items([item], load)[0].failure
    assert failure == "The image has 299 × 500 px, its record says 300 × 500."
    prepared = replace(item, record=replace(item.record, prepared={"key": "k"}))
    assert (
        "prepared copy: give the manifest of the original images" in crop_items([prepared], load)[0].failure
    )
    assert "record 0000000000000000 is shown without pictures" in caplog.text


def test_a_prepared_copy_of_the_same_size_is_not_marked_either() -> None:
    item = item_of()
    prepared = replace(item, record=replace(item.record, prepared={"key": "k"}))
    crop = crop_items([prepared], lambda path: np.zeros((HEIGHT, WIDTH), dtype=np.float32))[0]
    assert crop.failure == "The image is a prepared copy: give the manifest of the original images."


def test_the_log_tells_how_long_the_rest_will_take(caplog: pytest.LogCaptureFixture) -> None:
    seconds = iter(range(0, 6000, 20))
    items = [item_of(number) for number in range(4)]
    with caplog.at_level(logging.INFO):
        crop_items(
            items, lambda path: np.zeros((HEIGHT, WIDTH), dtype=np.float32), clock=lambda: next(seconds)
        )
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "pictures of 1 of 4 images, 60 s left",
        "pictures of 2 of 4 images, 40 s left",
        "pictures of 3 of 4 images, 20 s left",
        "pictures of 4 of 4 images, 0 s left",
        "pictures of 4 images in 120 s",
    ]


def test_marks_lie_in_original_pixels() -> None:
    marked = (Marked((101.0, 201.0, 141.0, 231.0), 0.876, "hit"),)
    crop = Crop("x", (70.0, 165.0, 170.0, 265.0), 100, 100)
    svg = marks_svg(item_of(marked=marked), crop)
    assert 'viewBox="70 165 100 100"' in svg
    assert '<path class="lesion" d="M100.0 200.0H140.0V230.0H100.0z"/>' in svg
    assert '<path class="hit" d="M101.0 201.0H141.0V231.0H101.0z"/>' in svg
    assert svg.count('class="under"') == 2
    assert re.search(r'<text class="hit" x="101" y="\d+">0.88</text>', svg)


def test_a_contour_is_drawn_where_there_is_one_and_a_dot_as_its_box() -> None:
    ring = tuple((120 + 20 * np.cos(a), 215 + 15 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 1000))
    crop = Crop("x", (70.0, 165.0, 170.0, 265.0), 100, 100)
    outlined = marks_svg(item_of(lesions=(Lesion(BOX, contour=ring),)), crop)
    path = re.search(r'class="lesion" d="M([^"]+)z"', outlined)
    assert path
    points = np.array([each.split(" ") for each in path[1].split("L")], dtype=float)
    assert 50 < len(points) < 130  # of a thousand
    assert np.abs(np.hypot((points[:, 0] - 120) / 20, (points[:, 1] - 215) / 15) - 1).max() < 0.01
    dot = marks_svg(item_of(lesions=(Lesion(BOX, contour=((120.0, 215.0),)),)), crop)
    assert 'class="lesion" d="M100.0 200.0H' in dot


def test_scores_stay_inside_the_crop_and_those_of_far_marks_are_left_out() -> None:
    crop = Crop("x", (0.0, 0.0, 100.0, 100.0), 100, 100)
    near = Marked((95.0, -10.0, 120.0, 20.0), 0.5, "false positive")
    svg = marks_svg(item_of(marked=(near, Marked((200.0, 200.0, 220.0, 220.0), 0.7, "hit"))), crop)
    assert re.findall(r'<text class="([a-z-]+)" x="(\d+)" y="(\d+)">', svg) == [("false-positive", "84", "6")]


def test_the_sketch_shows_where_a_crop_lies() -> None:
    svg = place_svg(item_of().record, (150.0, 250.0, 300.0, 500.0))
    assert 'viewBox="0 0 600 1000"' in svg
    assert 'class="here" d="M300 500H600V1000H300z"' in svg
