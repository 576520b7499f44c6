"""Detections are held against the images they speak of before anything is scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import DetectionsFile, check_detections

RECORDS = [ImageRecord(Path(f"{n}.png"), f"image{n}", "p", 60 + n, 90) for n in range(3)]


def entry(record_id: str, *boxes: tuple[float, float, float, float]) -> Detections:
    return Detections(
        record_id, np.array(boxes, dtype=float).reshape(-1, 4), np.ones(len(boxes)), np.zeros(len(boxes), int)
    )


def check(*entries: Detections) -> None:
    check_detections(Path("d.json"), DetectionsFile(entries), RECORDS, manifest=Path("m.json"))


def test_boxes_on_their_images_pass(caplog: pytest.LogCaptureFixture) -> None:
    check(entry("image0", (0, 0, 60, 90)), entry("image2"), entry("image1", (1, 2, 3, 4)))
    check()
    assert not caplog.text


def test_an_image_the_manifest_does_not_hold_is_named_with_its_row() -> None:
    with pytest.raises(
        ManifestError,
        match=r"d\.json, detections row 1 \(other\): no image of m\.json has this record id \(2 of 3 rows",
    ):
        check(entry("image0"), entry("other"), entry("third"))


@pytest.mark.parametrize("box", [(61, 5, 70, 9), (-9, 5, -1, 9), (5, 91, 9, 95), (5, -9, 9, -0.5)])
def test_a_box_off_its_image_is_named_with_its_row(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(
        ManifestError,
        match=r"d\.json, detections row 1 \(image0\), box 1 \[.*\] does not touch the image of 60 × 90 px "
        r"\(width × height; 1 of 3 boxes\)\. Boxes are x_min, y_min",
    ):
        check(entry("image1", (1, 1, 2, 2)), entry("image0", (1, 1, 2, 2), box))


def test_the_size_is_that_of_each_image() -> None:
    check(entry("image2", (61.5, 5, 62, 9)))
    with pytest.raises(ManifestError, match="image of 61 × 90 px"):
        check(entry("image1", (61.5, 5, 62, 9)))


@pytest.mark.parametrize("box", [(50, 80, 69, 90), (-4, 5, 5, 9), (60, 5, 60, 9), (0, 0, 0, 0)])
def test_a_box_may_overhang_the_border_or_be_clipped_to_it(
    box: tuple[float, float, float, float], caplog: pytest.LogCaptureFixture
) -> None:
    check(entry("image0", box))
    assert not caplog.text


def test_boxes_that_lie_off_by_more_than_half_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check(entry("image1"), entry("image0", (1, 1, 9, 9), (50, 5, 80, 9), (0, 0, 6000, 9)))
    assert (
        "d.json, detections row 1 (image0), box 1 lies outside its image by more than half (2 of 3"
        in caplog.text
    )
