from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image

from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of, drawn
from tests.readers.annotations.test_nifti import write_nifti
from tests.readers.annotations.test_slicer import markups, roi


def labels(boxes: Any = BOXES, names: Any = None) -> str:
    return json.dumps({"box": boxes, "label": names or ["mass"] * len(boxes), "score": [0.9] * len(boxes)})


def test_final_labels_come_back_and_proposals_do_not(site: InHouse) -> None:
    for name in ("left", "right", "third", "fourth", "fifth"):
        site.png(f"{name}.png")
    site.text("datastore_v2.json", json.dumps({"objects": {"left": {"labels": {"final": {"ext": ".json"}}}}}))
    site.text("labels/final/left.json", labels())
    write_nifti(site.root / "labels/final/right.nii.gz", drawn().T)
    site.text("labels/final/third.json", labels([]))
    site.text("labels/final/fourth.json", markups(roi(BOXES[0])))
    site.text("labels/original/fifth.json", labels())
    records = site.read()
    assert [*records] == ["fourth.png", "left.png", "right.png", "third.png"]
    assert boxes_of(records["left.png"].lesions) == boxes_of(records["right.png"].lesions) == [*BOXES]
    assert boxes_of(records["fourth.png"].lesions) == [BOXES[0]]
    assert records["third.png"].is_normal
    assert "images-unlisted" in site.codes()


def test_masks_as_pictures_come_back(site: InHouse) -> None:
    site.dicom("left.dcm")
    (site.root / "labels/final").mkdir(parents=True)
    Image.fromarray(drawn()).save(site.root / "labels/final/left.png")
    assert boxes_of(site.lesions("left.dcm")) == [*BOXES]


def test_class_names_and_numbers_tell_types(site: InHouse) -> None:
    site.png("left.png")
    site.text("labels/final/left.json", labels(BOXES, ["Calcification", "normal"]))
    assert [lesion.type for lesion in site.lesions("left.png")] == ["calcification"]
    site.text("labels/final/left.json", labels(BOXES, [0, 1]))
    lesions = site.lesions("left.png", classes={"0": "mass", "1": "distortion"})
    assert [lesion.type for lesion in lesions] == ["mass", "distortion"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "annotation-unreadable"),
        (labels()[:40], "annotation-unreadable"),
        ("{}", "annotation-unreadable"),
        ("[]", "annotation-unreadable"),
        ('{"box": [[1, 2, 3, 4]], "label": []}', "annotation-unreadable"),
        (labels([[1, 2, 3, 4, 5, 6]]), "box-invalid"),
        (labels([7]), "box-invalid"),
        (labels([[1, 2, "x", 4]]), "box-invalid"),
        (labels([[1, 2, float("nan"), 4]]), "box-invalid"),
        (labels([[1, 2, 99, 4]]), "box-outside"),
    ],
)
def test_a_bad_label_quarantines_its_image_alone(site: InHouse, content: str | bytes, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("labels/final/left.json", content)
    site.text("labels/final/right.json", labels())
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_nrrd_labels_are_said_not_to_be_read(site: InHouse) -> None:
    site.png("left.png")
    site.text("labels/final/left.nrrd", b"NRRD0004\n")
    site.text("labels/final/notes.docx", b"")
    assert site.read() == {}
    assert site.quarantined() == ["nrrd-unread"]


@pytest.mark.parametrize("text", ['{"markups": [0.5]}', '{"markups": {"type": "ROI"}}', '{"markups": null}'])
def test_markups_that_are_no_objects_leave_the_image_out(site: InHouse, text: str) -> None:
    site.png("a.png")
    site.png("b.png")
    site.text("labels/final/a.json", text)
    site.text("labels/final/b.json", '{"box": [[10, 20, 31, 45]], "label": ["mass"]}')
    assert list(site.read()) == ["b.png"]
    assert site.quarantined() == ["annotation-unreadable"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("left.json", '{"box": [[10, 20, 31, 45]], "label": [null]}', "class-unknown"),
        ("left.xml", "<annotation/>", "annotation-unreadable"),
    ],
)
def test_a_label_that_says_nothing_known_makes_no_image_normal(
    site: InHouse, name: str, text: str, code: str
) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text(f"labels/final/{name}", text)
    site.text("labels/final/right.json", '{"box": [], "label": []}')
    assert [*site.read(unlisted="normal")] == ["right.png"]
    assert site.quarantined() == [code]
