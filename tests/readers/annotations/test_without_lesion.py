"""Images without a lesion although their assessment or their pathology speaks of one."""

from __future__ import annotations

import json

import pytest

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.coco.reader import read_coco
from mammo_monai.readers.reading import Reading
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import InHouse

HEADER = "file,xmin,ymin,xmax,ymax,patient_id,side,birads,pathology"


def codes(site: InHouse, *rows: str) -> list[str]:
    for row in rows:
        site.png(row.split(",", maxsplit=1)[0])
    site.text("boxes.csv", "\n".join([HEADER, *rows, "z.png,10,20,31,45,z,L,2,"]))
    site.png("z.png")
    site.read()
    return site.codes(Action.WARNED)


@pytest.mark.parametrize("said", ["5,", "4b,", ",MALIGNANT", "2,Cancer"])
def test_a_suspicious_image_without_a_box_is_noted(site: InHouse, said: str) -> None:
    assert codes(site, f"a.png,,,,,p1,L,{said}", "b.png,,,,,p1,R,1,") == ["box-missing"]
    assert site.audit.findings[-1].found.startswith("1 image of BI-RADS 4 to 6")


@pytest.mark.parametrize("said", ["3,", "0,", ",benign", ","])
def test_what_is_not_suspicious_may_be_without_a_box(site: InHouse, said: str) -> None:
    assert codes(site, f"a.png,,,,,p1,L,{said}", "b.png,,,,,p1,R,1,") == []


def test_a_lesion_on_another_image_of_the_breast_will_do(site: InHouse) -> None:
    assert codes(site, "a.png,,,,,p1,L,5,", "b.png,10,20,31,45,p1,L,5,") == []


def test_a_lesion_of_the_other_breast_will_not(site: InHouse) -> None:
    assert codes(site, "a.png,,,,,p1,R,5,", "b.png,10,20,31,45,p1,L,5,") == ["box-missing"]


def test_a_coco_json_says_so_too(site: InHouse) -> None:
    for name in ("a.png", "b.png"):
        site.png(name)
    images = [
        {"id": n, "file_name": f"{name}.png", "birads": "5", "patient_id": name}
        for n, name in enumerate("ab")
    ]
    annotations = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [10, 20, 21, 25]}]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "mass"}]}
    audit = Audit()
    read_coco(site.text("boxes.json", json.dumps(content)), Reading("s", audit, 1))
    assert "box-missing" in [each.code for each in audit.findings]
