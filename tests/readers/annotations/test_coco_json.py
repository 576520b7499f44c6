from __future__ import annotations

import json
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.records import Split
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of


def coco(*images: Any, **lists: Any) -> str:
    """COCO of images `(file_name, boxes)`."""
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "mass"}]}
    for number, (name, boxes) in enumerate(images):
        content["images"].append({"id": number, "file_name": name})
        for x_min, y_min, x_max, y_max in boxes:
            bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
            annotation = {
                "id": len(content["annotations"]),
                "image_id": number,
                "category_id": 3,
                "bbox": bbox,
            }
            content["annotations"].append(annotation)
    return json.dumps(content | lists)


def test_boxes_come_back_and_listed_images_are_normal(site: InHouse) -> None:
    site.png("p1/left.png")
    site.png("p1/right.png")
    site.text("annotations/boxes.json", coco(("p1/left.png", BOXES), ("p1/right.png", ())))
    records = site.read()
    assert boxes_of(records["p1/left.png"].lesions) == [*BOXES]
    assert records["p1/right.png"].is_normal
    assert "images-unlisted" not in site.codes()


def test_one_json_per_split_makes_the_official_split(site: InHouse) -> None:
    for folder, box in (("train", BOXES[0]), ("valid", BOXES[1])):
        site.png(f"{folder}/left.png")
        site.text(f"{folder}/_annotations.coco.json", coco(("left.png", [box])))
    data_set = site.data_set()
    found = {record.image.parent.name: record for record in data_set.records}
    assert boxes_of(found["train"].lesions) == [BOXES[0]]
    assert boxes_of(found["valid"].lesions) == [BOXES[1]]
    splits = {name: data_set.official[record.record_id] for name, record in found.items()}
    assert splits == {"train": Split.TRAINING, "valid": Split.VALIDATION}


def test_the_jsons_name_may_say_the_split(site: InHouse) -> None:
    for name, box in (("train", BOXES[0]), ("test", BOXES[1])):
        site.png(f"pictures/{name}_left.png")
        site.text(f"annotations/instances_{name}2017.json", coco((f"{name}_left.png", [box])))
    data_set = site.data_set()
    splits = {record.image.name: data_set.official[record.record_id] for record in data_set.records}
    assert splits == {"train_left.png": Split.TRAINING, "test_left.png": Split.TEST}


def test_other_jsons_are_passed_over(site: InHouse) -> None:
    site.png("left.png")
    site.text("settings.json", '{"a": 1}')
    site.text("broken.json", "{")
    site.text("boxes.json", coco(("left.png", BOXES)))
    assert len(site.lesions("left.png")) == 2


def test_half_a_json_is_one_clear_error(site: InHouse) -> None:
    site.png("left.png")
    site.text("boxes.json", coco(("left.png", BOXES))[:120])
    with pytest.raises(ManifestError, match=r"boxes\.json: expected a COCO JSON, cannot be read as JSON"):
        site.read()


@pytest.mark.parametrize(
    ("bbox", "code"),
    [([1, 2, float("nan"), 4], "box-invalid"), ([50, 2, 30, 4], "box-outside"), (7, "box-invalid")],
)
def test_a_bad_box_quarantines_its_image_alone(site: InHouse, bbox: Any, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    content = json.loads(coco(("left.png", [BOXES[0]]), ("right.png", [BOXES[1]])))
    content["annotations"][0]["bbox"] = bbox
    site.text("boxes.json", json.dumps(content))
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_the_same_image_twice_contradicts_itself(site: InHouse) -> None:
    site.png("left.png")
    site.text("boxes.json", coco(("left.png", [BOXES[0]]), ("left.png", ())))
    assert site.read() == {}
    assert site.quarantined() == ["annotation-repeated"]


def test_an_image_of_the_json_that_is_not_there_is_a_finding(site: InHouse) -> None:
    site.png("left.png")
    site.text("boxes.json", coco(("left.png", BOXES), ("Smith.png", BOXES), (None, ())))
    assert [*site.read()] == ["left.png"]
    orphans = [each for each in site.audit.findings if each.code == "annotation-orphan"]
    assert [each.place for each in orphans] == ["COCO images row 1", "COCO images row 2"]


def test_a_json_without_images_does_not_make_all_images_normal(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.json", '{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(ManifestError, match=r"boxes\.json: expected annotations, found none in it"):
        site.read()


def annotated(**fields: Any) -> str:
    annotation = {"id": 1, "image_id": 0, "category_id": 3, **fields}
    return coco(("left.png", ()), ("right.png", ()), annotations=[annotation])


@pytest.mark.parametrize(
    "segmentation", [[[10, 20, 31, 20, 31, 45]], {"size": [90, 60], "counts": [9, 5391]}]
)
def test_what_is_drawn_without_a_box_is_to_be_exported_with_one(
    site: InHouse, segmentation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("boxes.json", annotated(segmentation=segmentation))
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == ["box-invalid"]
    assert "Export boxes too" in caplog.text


def test_several_polygons_beside_their_box_contradict_it(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    halves = [[40, 60, 52, 60, 52, 70], [40, 70, 52, 70, 52, 88]]
    site.text("boxes.json", annotated(bbox=[10, 20, 21, 25], segmentation=halves))
    assert [*site.read()] == ["right.png"]
    site.text("boxes.json", annotated(bbox=[40, 60, 12, 28], segmentation=[*halves, "cut off"]))
    assert boxes_of(site.lesions("left.png")) == [(40, 60, 52, 88)]


@pytest.mark.parametrize(("score", "is_noted"), [(0.87, True), (1.0, False), (1, False), (None, False)])
def test_scores_say_that_the_boxes_are_a_models(site: InHouse, score: float | None, is_noted: bool) -> None:
    site.png("left.png")
    content = json.loads(coco(("left.png", BOXES)))
    content["annotations"][0]["score"] = score
    site.text("boxes.json", json.dumps(content))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]  # warned of, not dropped
    assert ("marks-scored" in site.codes(Action.WARNED)) == is_noted


def test_marks_that_a_person_has_reviewed_are_no_models(site: InHouse) -> None:
    site.png("left.png")
    content = json.loads(coco(("left.png", BOXES)))
    content["images"][0] |= {"reviewed_by": "AB", "reviewed_at": "2026-01-02T03:04:05"}
    content["annotations"][0]["score"] = 0.87
    site.text("boxes.json", json.dumps(content))
    site.read()
    assert "marks-scored" not in site.codes()
