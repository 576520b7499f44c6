"""Files of programs that are not read: one error says which program, and which formats are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations.other_programs import refuse_other_programs
from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of
from tests.readers.annotations.test_coco_json import coco

LABELME = {"version": "5.0", "shapes": [], "imagePath": "left.png", "imageData": "A" * 5000}
REGIONS = {"filename": "left.png", "size": 9, "regions": []}
STUDIO = [{"id": 1, "annotations": [], "data": {"image": "/data/upload/8f3a-left.png"}}]
VIA_TABLE = "filename,file_size,region_count,region_shape_attributes\nleft.png,9,0,{}\n"
CVAT = '<?xml version="1.0"?>\n<annotations><image id="0" name="left.png"/></annotations>'


@pytest.mark.parametrize(
    ("name", "content", "program"),
    [
        ("left.json", LABELME, "LabelMe"),
        ("via.json", {"left.png9": REGIONS}, r"VGG Image Annotator \(VIA\)"),
        ("project.json", {"_via_settings": {}, "_via_img_metadata": {}}, "VGG"),
        ("via.csv", VIA_TABLE, "VGG"),
        ("studio.json", STUDIO, "Label Studio"),
        ("annotations.xml", CVAT, "CVAT"),
        ("ml.json", [{"image": "left.png", "annotations": []}], "CreateML"),
        ("results.json", [{"image_id": 1, "bbox": [1, 2, 3, 4]}], "a model's results"),
        ("left.json", {"markups": []}, r"another name than NAME\.mrk\.json"),
        ("boxes.xlsx", "PK", "a spreadsheet"),
        ("masks/left.mha", "ObjectType = Image", "MetaImage"),
    ],
)
def test_the_program_is_named_and_what_is_read(site: InHouse, name: str, content: Any, program: str) -> None:
    site.png("left.png")
    site.text(name, content if isinstance(content, str) else json.dumps(content))
    said = rf"{name}: this is .*{program}.*, which is not read\. Read are COCO JSON, CSV.*Pascal VOC, YOLO"
    with pytest.raises(ManifestError, match=said):
        site.read()


def test_a_format_that_was_asked_for_and_is_another_programs_is_said_too(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.json", json.dumps(LABELME))
    with pytest.raises(ManifestError, match="LabelMe"):
        site.read(format="coco")
    with pytest.raises(ManifestError, match="LabelMe"):
        site.read(format="coco", annotations=site.root / "left.json")


def test_files_of_another_program_beside_true_annotations_stop_nothing(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.json", json.dumps(LABELME))
    site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\nleft.png,10,20,31,45\n")
    assert boxes_of(site.lesions("left.png")) == [BOXES[0]]


def test_what_is_read_or_unknown_is_not_refused(site: InHouse) -> None:
    paths = [
        site.text("boxes.json", coco(("left.png", BOXES))),
        site.text("later.json", json.dumps({"categories": ["x" * 5000], "images": [], "item": 1})),
        site.text("empty.json", "[]"),
        site.text("number.json", "[7]"),
        site.text("half.json", '{"shapes": ['),
        site.text("left.xml", "no mark-up"),
        site.root / "gone.json",
    ]
    refuse_other_programs(paths)


def test_the_first_files_of_a_kind_tell(site: InHouse) -> None:
    paths = [site.text(f"{number}.json", "{}") for number in range(3)]
    refuse_other_programs([*paths, site.text("left.json", json.dumps(LABELME))])
