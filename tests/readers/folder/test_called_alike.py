"""An image without annotation does not count as normal while an annotation without image is called alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammo_monai.readers.annotations.annotated import AnnotatedImage
from mammo_monai.readers.folder.called_alike import called_alike
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import InHouse


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    site = InHouse(tmp_path / "set")
    for name in ("left", "right", "third"):
        site.png(f"{name}.png")
    return site


def tables(stray: str) -> dict[str, str]:
    """The same boxes, of right.png and of a stray name, as CSV and as COCO."""
    images = [{"id": 1, "file_name": "right.png"}, {"id": 2, "file_name": stray}]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10, 20, 21, 25]} for n in (1, 2)]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "mass"}]}
    rows = "".join(f"{name},10,20,31,45\n" for name in ("right.png", stray))
    return {"boxes.json": json.dumps(coco), "boxes.csv": f"file_name,xmin,ymin,xmax,ymax\n{rows}"}


@pytest.mark.parametrize("kind", ["boxes.json", "boxes.csv"])
@pytest.mark.parametrize("stray", ["images/8f3a2b1c-left.png", "left_png.rf.0a1b2c.jpg", "LEFT flip.png"])
def test_names_that_programs_have_decorated_make_no_image_normal(
    site: InHouse, kind: str, stray: str
) -> None:
    site.text(kind, tables(stray)[kind])
    records = site.read()
    assert [*records] == ["right.png", "third.png"]
    assert site.quarantined() == ["annotation-orphan"]
    assert records["third.png"].is_normal
    assert "images-unlisted" in site.codes(Action.WARNED)


def test_who_says_that_such_images_are_normal_is_believed(site: InHouse) -> None:
    site.text("boxes.csv", tables("8f3a2b1c-left.png")["boxes.csv"])
    assert site.read(unlisted="normal")["left.png"].is_normal
    assert site.quarantined() == []


def test_other_names_and_short_ones_are_not_alike() -> None:
    names = ("p1/7_leftover", "12_7.png", "right", "1.2.840.7.1")
    orphans = [AnnotatedImage((name,), name, lambda target: ()) for name in names]
    images = [Path("left.png"), Path("7.png"), Path("12.png"), Path("right_2.png"), Path("1.2.840.7.dcm")]
    assert called_alike(orphans, images) == {}


def test_what_found_its_image_by_uid_is_no_orphan(site: InHouse) -> None:
    site.dicom("IM1.dcm", SOPInstanceUID="1.2.3")
    site.text("boxes.csv", "SOPInstanceUID,file_name,xmin,ymin,xmax,ymax\n1.2.3,left_1.png,10,20,31,45\n")
    records = site.read()
    assert len(records["IM1.dcm"].lesions) == 1
    assert records["left.png"].is_normal


def test_an_image_with_boxes_and_no_file_name_makes_no_image_normal(site: InHouse) -> None:
    site.text("boxes.json", tables("")["boxes.json"])
    assert [*site.read()] == ["right.png"]
    assert {"annotation-unreadable", "images-unlisted"} <= set(site.codes(Action.WARNED))
