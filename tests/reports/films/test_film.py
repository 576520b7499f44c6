"""Boxes of a film lie where the lesions are, are named, and are left out rather than drawn wrongly."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.records import LESION_LABELS, ImageRecord, Lesion
from mammo_monai.reports.films.film import (
    KIND_COLOURS,
    MAX_MARKS,
    Film,
    film_html,
    film_of,
    legend_html,
    lesion_names,
    marks_of,
)
from mammo_monai.reports.pictures.thumbnails import Thumbnail
from tests.reports.html_parser import Page

RECORD = ImageRecord(
    Path("a.dcm"), "0" * 16, "p", 200, 400, lesions=(Lesion((20, 40, 60, 120)), Lesion((150, 300, 170, 320)))
)
SMALL = Thumbnail(b"", 50, 100, 200, 400, outline=((0.0, 0.25), (0.5, 0.5), (0.0, 0.75)))


def lesion(kind: str, n: int = 0, **more) -> Lesion:
    return Lesion((10.0 + n, 40, 30.0 + n, 60), type=kind, label=LESION_LABELS[kind], **more)


def drawn(record: ImageRecord, **more) -> Page:
    return Page(film_html(film_of(SMALL, "a.jpg", record, **more), "what & it shows"))


def test_boxes_are_placed_in_shares_of_the_picture() -> None:
    styles = [mark["style"] for mark in drawn(RECORD).all("i", class_="mass")]
    assert styles == [
        "left:10.00%;top:10.00%;width:20.00%;height:20.00%",
        "left:75.00%;top:75.00%;width:10.00%;height:5.00%",
    ]


def test_every_kind_has_its_colour_and_its_name() -> None:
    assert set(KIND_COLOURS) == set(LESION_LABELS)
    record = replace(RECORD, lesions=tuple(lesion(kind) for kind in LESION_LABELS))
    page = drawn(record)
    for kind in LESION_LABELS:
        assert len(page.all("i", class_=kind)) == 1
        assert kind in page.text
    assert all(kind in Page(legend_html(list(LESION_LABELS))).text for kind in LESION_LABELS)
    assert "distortion" not in legend_html(["mass"])


def test_a_label_of_another_model_counts_as_other() -> None:
    record = replace(RECORD, lesions=(Lesion((1, 1, 9, 9), type="cyst", label=7),))
    assert drawn(record).all("i", class_="other")


def test_several_of_a_kind_are_numbered_and_one_alone_is_not() -> None:
    record = replace(RECORD, lesions=(lesion("mass"), lesion("calcification"), lesion("mass")))
    assert lesion_names(record) == [("mass 1", "M1"), ("calcification", "C"), ("mass 2", "M2")]


def test_many_boxes_carry_short_names_and_dots_none() -> None:
    few, many = (replace(RECORD, lesions=tuple(lesion("mass", n) for n in range(count))) for count in (3, 4))
    assert not drawn(few).all("div", class_="crowded")
    assert drawn(many).all("div", class_="crowded")
    dots = tuple(lesion("calcification", n, contour=((n, 5.0),)) for n in range(9))
    page = drawn(replace(RECORD, lesions=dots))
    assert len(page.all("i", class_="dot")) == 9
    assert not page.all("b")


def test_a_dot_lies_at_the_middle_of_its_box() -> None:
    dot = Lesion((49.5, 99.5, 50.5, 100.5), type="calcification", label=1, contour=((50, 100),))
    (mark,) = drawn(replace(RECORD, lesions=(dot,))).all("i", class_="dot")
    assert mark["style"] == "left:25.00%;top:25.00%"


def test_no_more_marks_than_a_page_bears_are_drawn_and_that_is_said() -> None:
    record = replace(RECORD, lesions=tuple(lesion("mass", n % 90) for n in range(MAX_MARKS + 9)))
    page = drawn(record)
    assert len(page.all("i", class_="mark")) == MAX_MARKS
    assert f"{MAX_MARKS} of {MAX_MARKS + 9} marks drawn." in page.text


def test_the_outline_follows_the_picture() -> None:
    (polygon,) = drawn(RECORD).all("polygon")
    assert polygon["points"] == "0,250 500,500 0,750"


def test_a_film_without_record_or_lesions_has_no_boxes() -> None:
    for record in (None, replace(RECORD, lesions=())):
        page = Page(film_html(film_of(SMALL, "a.jpg", record), "x"))
        assert page.all("img", src="a.jpg")
        assert not page.all("i")


def test_an_image_of_another_size_is_shown_without_boxes() -> None:
    page = drawn(replace(RECORD, width=201))
    assert page.all("img")
    assert not page.all("i")
    assert "The file has 200 × 400 px, its record says 201 × 400: no boxes drawn." in page.text


def test_boxes_follow_a_prepared_copy_and_none_are_drawn_where_its_frame_is_unknown() -> None:
    frame = ImageFrame(400, 800).then(Crop(100, 0, 300, 800)).then(Flip(300)).then(Scale(300, 800, 200, 400))
    record = replace(
        RECORD, width=400, height=800, prepared={"key": "k"}, lesions=(Lesion((130, 80, 190, 160)),)
    )
    (mark,) = film_of(SMALL, "a.jpg", record, frame).marks
    assert mark.box == pytest.approx((0.7, 0.1, 0.9, 0.2))
    page = drawn(record)
    assert not page.all("i")
    assert "A prepared copy: boxes are not drawn." in page.text


def test_a_lesion_the_crop_cut_off_has_no_mark() -> None:
    frame = ImageFrame(200, 400).then(Crop(100, 0, 100, 400))
    assert [mark.name for mark in marks_of(RECORD, frame)] == ["mass 2"]


def test_a_film_without_a_picture_says_why() -> None:
    page = Page(film_html(Film(note="the file is <empty>"), "x"))
    assert page.text == "No picture: the file is <empty>."
    assert not page.all("img")


def test_names_stay_inside_the_picture() -> None:
    record = replace(RECORD, lesions=(Lesion((180, 2, 199, 20)), Lesion((2, 300, 20, 330))))
    upper, lower = drawn(record).all("i", class_="mark")
    assert {"under", "leftward"} <= set(upper["class"].split())
    assert not {"under", "leftward"} & set(lower["class"].split())


def test_names_keep_clear_of_each_other_and_of_other_boxes() -> None:
    # The right one's name would lie on the left one's, the lower one's on the upper box.
    lesions = (Lesion((60, 200, 80, 220)), Lesion((90, 200, 110, 220)), Lesion((60, 222, 80, 242)))
    left, right, lower = drawn(replace(RECORD, lesions=lesions)).all("i", class_="mark")
    assert not {"under", "leftward"} & set(left["class"].split())
    assert "under" in right["class"].split()
    assert "under" in lower["class"].split()


def test_words_are_escaped() -> None:
    html = film_html(film_of(SMALL, 'a.jpg"><script>', RECORD), "what <b> shows")
    assert "<script>" not in html
    assert re.search(r'alt="what &lt;b&gt; shows"', html)
