"""COCO results as toolkits write them: ids of any spelling, objects or lists, polygons; and as they break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.lesion_types import LesionTypes
from mammo_monai.readers.foreign_detections.coco import read_coco_results
from mammo_monai.readers.foreign_detections.marks import ForeignMark, ForeignMarks
from tests.readers.foreign_detections.scene import coco_results, coco_truth, write_coco


def read(folder: Path, results: Any, truth: Any = None, **classes: str) -> ForeignMarks:
    return read_coco_results(*_swapped(write_coco(folder, results, truth), LesionTypes(classes=classes)))


def _swapped(paths: tuple[Path, Path], types: LesionTypes) -> tuple[Path, LesionTypes, Path]:
    return paths[0], types, paths[1]


def alone(folder: Path, results: Any) -> ForeignMarks:
    """Without the COCO file of the images."""
    return read_coco_results(write_coco(folder, results)[0], LesionTypes())


def marks(found: ForeignMarks) -> dict[str, list[ForeignMark]]:
    return {each.title: list(each.read()) for each in found.images if each.n_marks}


@pytest.mark.parametrize("spelt", [str, float, int])
def test_ids_of_images_and_categories_may_be_numbers_or_text(spelt: Any, tmp_path: Path) -> None:
    results = [{**row, "image_id": spelt(row["image_id"]), "category_id": spelt(1)} for row in coco_results()]
    found = marks(read(tmp_path, results))
    assert list(found) == ["p1/left.png", "p2/left.png", "p3/other.png"]
    assert found["p2/left.png"] == [ForeignMark((101.0, 49.0, 128.5, 71.0), 0.7, "mass", 2)]


def test_images_are_listed_with_the_size_that_was_marked(tmp_path: Path) -> None:
    found = read(tmp_path, coco_results(), coco_truth((150, 200)))
    assert found.lists_all
    assert {each.size for each in found.images} == {(150.0, 200.0)}
    assert [each.title for each in found.images if not each.n_marks] == ["p1/right.png"]


def test_an_object_may_hold_images_and_marks(tmp_path: Path) -> None:
    whole = coco_truth(annotations=coco_results())
    found = alone(tmp_path, whole)
    assert len(marks(found)) == 3
    assert len(found.files) == 1
    assert len(marks(read(tmp_path, {"annotations": coco_results()}))) == 3
    assert {each.size for each in read(tmp_path, whole, coco_truth((30, 40))).images} == {(30, 40)}


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert len(marks(read(tmp_path, "\ufeff" + json.dumps(coco_results())))) == 3


def test_ids_that_are_names_need_no_other_file(tmp_path: Path) -> None:
    rows = [{**coco_results()[0], "image_id": "left", "category_id": 0}]
    found = alone(tmp_path, rows)
    assert marks(found)["left"][0].type == "mass"
    assert not found.lists_all
    rows = [{**coco_results()[0], "file_name": "p1/left.png"}]
    assert list(marks(alone(tmp_path, rows))) == ["p1/left.png"]


def test_a_number_needs_the_coco_file_of_the_images(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"row 0: image_id 7 is a number.*--annotations FILE"):
        alone(tmp_path, coco_results())


def test_an_id_that_another_file_has_is_seen_by_the_names(tmp_path: Path) -> None:
    rows = [{**coco_results()[0], "image_id": 8, "file_name": "left.png"}]
    with pytest.raises(ManifestError, match=r"image_id 8 is p1/right\.png in .*but the row says left\.png"):
        read(tmp_path, rows)


def test_an_id_that_is_nobodys_keeps_its_marks_apart(tmp_path: Path) -> None:
    assert "image_id 99 (not in truth.json)" in marks(read(tmp_path, [{**coco_results()[0], "image_id": 99}]))


def test_polygons_stand_in_for_a_missing_bbox(tmp_path: Path) -> None:
    row = {**coco_results()[0], "segmentation": [[10, 20, 30, 25, 12, 40], [50, 5, 60, 5, 60, 9.5]]}
    del row["bbox"]
    (mark,) = marks(read(tmp_path, [row]))["p1/left.png"]
    assert mark.box == (10, 5, 60, 40)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"bbox": None, "segmentation": {"size": [4, 3], "counts": "abc"}},
            "a run-length mask.*write bbox too",
        ),
        ({"bbox": None}, "expected bbox, or polygons.*found no bbox, and None"),
        ({"bbox": None, "segmentation": [[1, 2, 3, 4]]}, "expected bbox, or polygons"),
        ({"bbox": [1, 2, 3]}, "bbox must be x, y, width, height"),
        ({"bbox": [1, 2, -3, 4]}, "bbox must be x, y, width, height"),
        ({"bbox": [1, 2, float("nan"), 4]}, "bbox must be x, y, width, height"),
        ({"bbox": [1, 2, float("inf"), 4]}, "bbox must be x, y, width, height"),
        ({"bbox": ["1", 2, 3, 4]}, "bbox must be x, y, width, height"),
        ({"bbox": [1e308, 2, 1e308, 4]}, "a box of finite numbers"),
        ({"bbox": [-1e100, 2, 1e101, 4]}, "a box of finite numbers"),
        ({"score": float("nan")}, "a score that is a finite number, got nan"),
        ({"score": "0.9"}, "a score that is a finite number, got '0.9'"),
        ({"score": True}, "a score that is a finite number"),
        ({"category_id": None}, "expected a category_id"),
        (
            {"category_id": 0},
            r"category_id 0 is none of the categories of .*\(1 mass, 2 nipple\).*--class 0=mass",
        ),
        ({"image_id": None}, "expected an image_id, got None"),
        ({"image_id": [7]}, r"expected an image_id, got \[7\]"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    rows = [coco_results()[0], {**coco_results()[1], **change}]
    with pytest.raises(ManifestError, match=rf"results\.json, row 1: .*{told}"):
        marks(read(tmp_path, rows))


def test_a_category_counted_from_0_can_be_explained(tmp_path: Path) -> None:
    rows = [{**row, "category_id": 0} for row in coco_results()]
    found = marks(read(tmp_path, rows, **{"0": "mass"}))
    assert {mark.type for each in found.values() for mark in each} == {"mass"}


def test_several_categories_without_names_are_refused(tmp_path: Path) -> None:
    rows = [{**row, "image_id": "left", "category_id": n} for n, row in enumerate(coco_results())]
    with pytest.raises(ManifestError, match=r"names for the categories 0, 1, 2, 3.*--annotations FILE"):
        alone(tmp_path, rows)


def test_truth_is_no_result(tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "score"} for row in coco_results()]
    with pytest.raises(ManifestError, match=r"row 0: expected a score, got the keys image_id.*the truth"):
        read(tmp_path, rows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot be read"),
        ('[{"image_id": 7, "category_id"', "cannot be read"),
        ("3", "found something else"),
        ('[["left", 1]]', "found something else"),
        (
            '{"labels": [0], "scores": [0.9], "bboxes": [[1, 2, 3, 4]]}',
            "the keys labels, scores, bboxes.*Coco",
        ),
    ],
)
def test_what_is_no_result_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"results\.json: expected COCO results.*{told}"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        ([], "expected an object with images, got list"),
        ({"annotations": []}, "images must be a list of objects"),
        (coco_truth(images=[{"id": 1}, {"id": "1"}]), "expected an id of its own"),
    ],
)
def test_a_broken_list_of_images_is_refused(truth: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"truth\.json.*{told}"):
        read(tmp_path, coco_results(), truth)
