"""Marks leave in pixels of the original image: scaled back where that is proven, cut, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.foreign_detections.marks import ForeignImage, ForeignMark
from mammo_monai.readers.foreign_detections.placing import PlacedMarks, placed_marks
from mammo_monai.records import ImageRecord

RECORD = ImageRecord(Path("/films/a.png"), "a1", "p", width=3328, height=4084)


def placed(*boxes: Any, size: Any = None, record: ImageRecord = RECORD, **more: Any) -> PlacedMarks:
    marks = [ForeignMark(tuple(box), 0.5, "mass", n) for n, box in enumerate(boxes)]
    image = ForeignImage(("a.png",), "results.json", "row", len(marks), lambda: marks, size=size)
    return placed_marks(image, record, **more)


@pytest.mark.parametrize("size", [(1664, 2042), (832, 1021), (651, 800), (652, 800), (6656, 8168)])
def test_one_factor_but_for_rounding_proves_a_resized_image(size: tuple[int, int]) -> None:
    found = placed((size[0] / 2, 0, size[0], size[1] / 4), size=size)
    np.testing.assert_allclose(found.detections.boxes, [[1664, 0, 3328, 1021]])
    assert found.is_rescaled


def test_the_same_size_changes_nothing() -> None:
    found = placed((1, 2, 30, 40), size=(3328.0, 4084.0))
    assert found.detections.boxes.tolist() == [[1, 2, 30, 40]]
    assert not found.is_rescaled


@pytest.mark.parametrize(
    ("size", "remedy"),
    [
        ((640, 640), "--marked-size 640 640"),
        ((655, 800), "cropped or padded"),
        ((3328, 3328), "no one factor"),
        ((4084, 3328), "It was turned"),
    ],
)
def test_another_size_that_proves_nothing_is_refused(size: tuple[int, int], remedy: str) -> None:
    with pytest.raises(ManifestError, match=rf"was {size[0]} × {size[1]} px when it was marked.*{remedy}"):
        placed((1, 2, 30, 40), size=size)


def test_a_size_that_somebody_says_is_taken_unless_the_file_says_another() -> None:
    found = placed((320, 320, 640, 640), marked_size=(640.0, 640.0))
    np.testing.assert_allclose(found.detections.boxes, [[1664, 2042, 3328, 4084]])
    assert placed((320, 320, 640, 640), size=(640.0, 640.0), marked_size=(640.0, 640.0)).is_rescaled
    with pytest.raises(ManifestError, match=r"was 800 × 800 px when it was marked, not 640 × 640 px"):
        placed((1, 2, 3, 4), size=(800.0, 800.0), marked_size=(640.0, 640.0))


def test_a_size_of_an_image_without_a_mark_is_nobodys_fault() -> None:
    assert not placed(size=(640, 640)).is_rescaled


def test_boxes_are_cut_at_the_border_and_counted() -> None:
    found = placed((-5, 10, 20, 30), (3300, 4000, 3400, 4100), (1, 2, 3, 4))
    assert found.detections.boxes.tolist() == [[0, 10, 20, 30], [3300, 4000, 3328, 4084], [1, 2, 3, 4]]
    assert (found.n_clipped, found.n_mostly_off) == (2, 1)


def test_boxes_without_area_stay_for_they_are_marks() -> None:
    found = placed((5, 5, 5, 9), (-8, 10, 0, 30))
    assert found.detections.boxes.tolist() == [[5, 5, 5, 9], [0, 10, 0, 30]]
    assert (len(found.detections.scores), found.n_empty) == (2, 2)


@pytest.mark.parametrize("box", [(3329, 10, 3400, 30), (-20, 10, -1, 30), (1, 4085, 3, 4090)])
def test_a_box_that_does_not_touch_its_image_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ManifestError, match=r"results\.json, row 1: box .* 1 of 2 marks of a\.png do not"):
        placed((1, 2, 3, 4), box)


def test_swapped_axes_are_suspected_where_they_would_fit() -> None:
    with pytest.raises(ManifestError, match=r"With x and y swapped it would lie inside\.$"):
        placed((3400, 10, 3500, 30))


def test_an_image_that_is_not_named_has_no_marks() -> None:
    found = placed_marks(None, replace(RECORD, record_id="b2"))
    assert (found.detections.record_id, found.detections.boxes.shape) == ("b2", (0, 4))
    assert found.detections.image == RECORD.image
