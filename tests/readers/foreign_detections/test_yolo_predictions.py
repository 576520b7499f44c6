"""YOLO's text files: boxes and polygons with confidence; labels, tracks and pixels are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.foreign_detections.marks import WHOLE_IMAGE, ForeignMark
from mammo_monai.readers.foreign_detections.yolo import read_yolo_predictions
from tests.readers.foreign_detections.scene import types


def read(folder: Path, text: str | bytes, name: str = "a.txt") -> list[ForeignMark]:
    path = folder / "labels" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (image,) = read_yolo_predictions(folder / "labels", types()).images
    assert image.size == WHOLE_IMAGE
    return list(image.read())


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_centre_and_size_become_corners(start: str, end: str, tmp_path: Path) -> None:
    (mark,) = read(tmp_path, f"{start}0 0.5 0.25 0.25 0.125 0.875{end}")
    assert mark == ForeignMark((0.375, 0.1875, 0.625, 0.3125), 0.875, "mass", 1)


def test_a_polygon_with_its_confidence_gives_the_box_around_it(tmp_path: Path) -> None:
    (mark,) = read(tmp_path, "0 0.5 0.25 0.75 0.5 0.625 0.875 0.9")
    assert (mark.box, mark.score) == ((0.5, 0.25, 0.75, 0.875), 0.9)


def test_folders_below_stay_in_the_names_and_an_empty_file_is_an_unmarked_image(tmp_path: Path) -> None:
    assert read(tmp_path, "", "p1/a.txt") == []
    (image,) = read_yolo_predictions(tmp_path, types()).images
    assert (image.title, image.n_marks) == ("labels/p1/a", 0)


def test_classes_have_the_names_that_lie_beside_them(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [nipple, calc]\n")
    found = read(tmp_path, "0 0.5 0.5 0.1 0.1 0.9\n1 0.5 0.5 0.1 0.1 0.8\n")
    assert [each.type for each in found] == [None, "calcification"]
    with pytest.raises(ManifestError, match=r"a\.txt, line 1: class 2 is none of the 2 class names"):
        read(tmp_path, "2 0.5 0.5 0.1 0.1 0.9")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.1 0.1", r"there is no confidence.*save_conf=True \(--save-conf\)\.$"),
        ("0 .1 .1 .2 .1 .2 .2 .1 .2", "there is no confidence"),
        ("0 0.5 0.5 0.1 0.1 0.9 3", "a track's id, or it is a polygon without confidence"),
        ("0 0.5 0.5", "got 3 values. Is it a file of predictions, and whole"),
        ("0,0.5,0.5,0.1,0.1,0.9", "got 1 values"),
        ("0 150 200 30 40 0.9", "shares of the image from 0 to 1.*Are they pixels"),
        ("mass 0.5 0.5 0.1 0.1 0.9", "a class number first, got 'mass'"),
        ("-1 0.5 0.5 0.1 0.1 0.9", "a class number first"),
        ("0.5 0.5 0.5 0.1 0.1 0.9", "a class number first"),
        ("nan 0.5 0.5 0.1 0.1 0.9", "a class number first"),
        ("0 0.5 0.5 -0.1 0.1 0.9", "x_min ≤ x_max"),
        ("0 0.5 nan 0.1 0.1 0.9", "a box of finite numbers"),
        ("0 0.5 0.5 0.1 0.1 inf", "a score that is a finite number"),
        ("0 0,5 0.5 0.1 0.1 0.9", "Write numbers with a decimal point"),
        ("0 0.5 0.5 0.1 0.1 tensor(0.9)", "a score that is a finite number"),
    ],
)
def test_a_bad_line_is_named(line: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"a\.txt, line 2: .*{told}"):
        read(tmp_path, f"0 0.5 0.5 0.1 0.1 0.9\n{line}\n")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"a\.txt: expected YOLO's predictions, found no UTF-8 text"):
        read(tmp_path, b"\xff\xfe0\x00")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(ManifestError, match=r"a\.txt: expected a text file, found a pipe"):
        read_yolo_predictions(tmp_path, types())


@pytest.mark.parametrize("file", ["a.png", "classes.txt"])
def test_a_folder_without_predictions_is_refused(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("mass")
    with pytest.raises(
        ManifestError, match=r"expected a text file per image, as save_txt=True save_conf=True"
    ):
        read_yolo_predictions(tmp_path, types())
    with pytest.raises(
        ManifestError, match=r"expected the folder of YOLO's text files \(labels/\), got a file"
    ):
        read_yolo_predictions(tmp_path / file, types())
