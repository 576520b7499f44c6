from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, SIZE, InHouse, boxes_of

BOMB = """<?xml version="1.0"?>
<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><filename>&b;</filename></annotation>"""
OUTSIDE = """<?xml version="1.0"?>
<!DOCTYPE annotation [<!ENTITY f SYSTEM "file:///etc/hostname">]>
<annotation><filename>&f;</filename></annotation>"""


def voc(
    boxes: Sequence[Any] = BOXES,
    names: Sequence[str] = (),
    *,
    size: tuple[int, int] | None = SIZE,
    file_name: str = "",
) -> bytes:
    """An annotation as VOC's own tools write it: corners from 1, inclusive."""
    root = Element("annotation")
    if file_name:
        SubElement(root, "filename").text = file_name
    if size:
        stated = SubElement(root, "size")
        for name, pixels in zip(("width", "height", "depth"), (*size, 1), strict=True):
            SubElement(stated, name).text = str(pixels)
    for number, (x_min, y_min, x_max, y_max) in enumerate(boxes):
        item = SubElement(root, "object")
        SubElement(item, "name").text = names[number] if names else "mass"
        corners = SubElement(item, "bndbox")
        shifted = {"xmin": x_min + 1, "ymin": y_min + 1, "xmax": x_max, "ymax": y_max}
        for name, value in shifted.items():
            SubElement(corners, name).text = str(value)
    return tostring(root)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corners=st.tuples(st.integers(0, 29), st.integers(0, 44), st.integers(30, 60), st.integers(45, 90)))
def test_corners_counted_from_one_become_half_open(site: InHouse, corners: Any) -> None:
    site.png("left.png")
    site.text("left.xml", voc([corners]))
    assert boxes_of(site.lesions("left.png")) == [corners]


def test_the_first_pixel_alone_is_one_pixel(site: InHouse) -> None:
    site.png("left.png")
    site.text(
        "left.xml",
        "<annotation><object><name>mass</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></object></annotation>",
    )
    assert boxes_of(site.lesions("left.png")) == [(0, 0, 1, 1)]


def test_annotations_lie_in_the_layout_of_voc_itself(site: InHouse) -> None:
    site.png("JPEGImages/left.png")
    site.png("JPEGImages/right.png")
    site.text("Annotations/left.xml", voc(names=["mass", "Microcalcification"]))
    site.text("Annotations/right.xml", voc([]))
    records = site.read()
    assert [lesion.type for lesion in records["JPEGImages/left.png"].lesions] == ["mass", "calcification"]
    assert boxes_of(records["JPEGImages/left.png"].lesions) == [*BOXES]
    assert records["JPEGImages/right.png"].is_normal
    assert "images-unlisted" not in site.codes()


def test_the_filename_inside_leads_where_the_files_own_name_does_not(site: InHouse) -> None:
    site.png("left.png")
    site.text("xml/0001.xml", voc(file_name="left.png"))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_a_size_of_zero_is_unknown(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.xml", voc(size=(0, 0)))
    assert len(site.lesions("left.png")) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "annotation-unreadable"),
        (voc()[:150], "annotation-unreadable"),
        (b"\xff\xfe\x00", "annotation-unreadable"),
        (BOMB, "annotation-unreadable"),
        (OUTSIDE, "annotation-unreadable"),
        (b"<plist/>", "annotation-unreadable"),
        (voc(size=(90, 60)), "size-differs"),
        (voc(size=(60, 91)), "size-differs"),
        (voc([(10, 20, 70, 40)]), "box-outside"),
        (voc([(30, 20, 10, 40)]), "box-invalid"),
        (voc([(float("nan"), 20, 30, 40)]), "box-invalid"),
        (b"<annotation><object><name>mass</name></object></annotation>", "box-invalid"),
        (b"<annotation><object><bndbox><xmin>a</xmin></bndbox></object></annotation>", "box-invalid"),
        (
            voc(size=None).replace(b"<annotation>", b"<annotation><size><width>wide</width></size>"),
            "size-differs",
        ),
    ],
)
def test_a_bad_file_quarantines_its_image_alone(site: InHouse, content: str | bytes, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("left.xml", content)
    site.text("right.xml", voc())
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_entities_are_refused_not_expanded(site: InHouse, caplog: pytest.LogCaptureFixture) -> None:
    site.png("left.png")
    site.text("left.xml", BOMB)
    site.read()
    assert "document types and entities are refused" in caplog.text


def test_an_object_that_repeats_counts_once(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.xml", voc([BOXES[0], BOXES[0]]))
    assert boxes_of(site.lesions("left.png")) == [BOXES[0]]
    assert "lesion-repeated" in site.codes(Action.REPAIRED)


def test_two_files_for_one_image_contradict_each_other(site: InHouse) -> None:
    site.png("left.png")
    site.text("reader_1/left.xml", voc())
    site.text("reader_2/left.xml", voc([]))
    assert site.read() == {}
    assert site.quarantined() == ["annotation-repeated"]


def test_an_unknown_class_is_other_and_said(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.xml", voc(names=["mass", "lymph node"]))
    assert [lesion.label for lesion in site.lesions("left.png")] == [0, 4]
    assert "class-unknown" in site.codes(Action.WARNED)
    assert [lesion.label for lesion in site.lesions("left.png", classes={"Lymph_Node": "ignore"})] == [0]


def test_a_filename_inside_that_is_another_images_makes_both_unclear(site: InHouse) -> None:
    for name in ("left", "right", "third"):
        site.png(f"{name}.png")
    site.text("left.xml", voc(BOXES).replace(b"<annotation>", b"<annotation><filename>right.png</filename>"))
    site.text("third.xml", voc())
    assert [*site.read(unlisted="normal")] == ["third.png"]
    assert site.quarantined() == ["annotation-ambiguous"] * 2


@pytest.mark.parametrize(
    ("spelt", "code"),
    [
        ((b"object>", b"Object>"), "annotation-unreadable"),
        ((b"</bndbox>", b"</bndbox><bndbox></bndbox>"), "annotation-unreadable"),
        ((b"<name>mass</name>", b""), "class-unknown"),
    ],
)
def test_a_box_that_would_be_passed_over_or_guessed_quarantines(
    site: InHouse, spelt: tuple[bytes, bytes], code: str
) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("left.xml", voc(BOXES[:1]).replace(*spelt))
    site.text("right.xml", voc())
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]
