"""The page on marked films says of every mass whether it was found, and of every mark what it lies on."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import DicomError
from mammo_monai.records import Detections, ImageRecord, Lesion
from mammo_monai.reports.films.marked_page import FilmPageText, MarkedFilm, write_marked_films
from mammo_monai.reports.page.shell import INTENDED_USE
from tests.reports.html_parser import Page

WIDTH, HEIGHT = 120, 200
MASS, OTHER_MASS = (20.0, 40.0, 60.0, 80.0), (70.0, 150.0, 110.0, 190.0)
BESIDE = (80.0, 20.0, 100.0, 40.0)


def film(
    name: str,
    masses: list[tuple[float, ...]],
    marks: list[tuple[float, ...]],
    labels: list[int] | None = None,
) -> MarkedFilm:
    """Marks carry the scores .9, .8, … in their order."""
    lesions = tuple(Lesion(box=tuple(box)) for box in masses)
    record = ImageRecord(Path(f"{name}.dcm"), name[0] * 16, "p", WIDTH, HEIGHT, lesions=lesions)
    scores = 0.9 - 0.1 * np.arange(len(marks))
    boxes = np.array(marks, dtype=float).reshape(-1, 4)
    found = Detections(record.record_id, boxes, scores, np.array(labels or [0] * len(marks), dtype=np.int64))
    return MarkedFilm(record, found, name, "Case 1")


def bright(path: Path) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    pixels[30:170, :90] = 0.5 + 0.001 * np.arange(90)
    return pixels


def page(tmp_path: Path, *films: MarkedFilm, load_image=bright, **text) -> Page:
    write_marked_films(tmp_path / "films.html", films, text=FilmPageText(**text), load_image=load_image)
    return Page((tmp_path / "films.html").read_text(encoding="utf-8"))


def test_found_missed_and_beside_are_counted_drawn_and_named(tmp_path: Path) -> None:
    made = page(tmp_path, film("R CC", [MASS, OTHER_MASS], [(22, 42, 60, 80), BESIDE]))
    assert "1 of 2 masses marked" in made.text
    assert "1 mark beside a mass, on 1 film" in made.text
    assert "found, score 0.90" in made.text
    assert "beside, score 0.80" in made.text
    assert len(made.all("li", class_="missed")) == 1
    assert [len(made.all("i", class_=kind)) for kind in ("lesion", "hit", "false-positive")] == [2, 1, 1]
    (hit,) = made.all("i", class_="hit")
    assert hit["style"] == "left:18.33%;top:21.00%;width:31.67%;height:19.00%"
    (picture,) = made.all("img")
    assert picture["alt"] == "Case 1, R CC: 1 mass found, 1 missed, 1 mark beside"
    assert re.search(r"R CC\s*120 × 200\s*2\s*0\.90\s*1\s*0\.80\s*–", " ".join(made.text.split("\n")))


def test_a_second_mark_on_a_found_mass_is_drawn_and_counts_as_nothing(tmp_path: Path) -> None:
    made = page(tmp_path, film("L CC", [MASS], [MASS, (22, 42, 60, 80)]))
    assert "1 of 1 masses marked" in made.text
    assert "0 marks beside a mass" in made.text
    assert len(made.all("i", class_="double")) == 1


def test_marks_of_other_classes_are_neither_drawn_nor_counted(tmp_path: Path) -> None:
    made = page(tmp_path, film("L CC", [MASS], [MASS, BESIDE], labels=[0, 1]))
    assert "0 marks beside a mass" in made.text
    assert len(made.all("i", class_="mark")) == 2


def test_a_film_without_mass_and_mark_says_so(tmp_path: Path) -> None:
    made = page(tmp_path, film("L CC", [], []))
    assert "0 of 0 masses marked" in made.text
    assert "no mass, no mark" in made.text
    assert not made.all("i", class_="mark")


def test_the_page_says_what_it_is_not_for_and_how_it_was_made(tmp_path: Path) -> None:
    words = {"title": "A < B", "banner": "Two & two.", "operating_point": "Score 0.30.", "how": "Read whole."}
    made = page(tmp_path, film("L CC", [MASS], []), **words, provenance={"Weights": "abc"})
    for each in (INTENDED_USE, *words.values(), "Weights", "abc", "IoU is above 0.2"):
        assert each in made.text
    assert not made.open
    assert "p.dcm" not in made.text
    assert not any(address.startswith(("http", "/")) for address in (each["src"] for each in made.all("img")))


def test_what_was_not_measured_is_not_shown(tmp_path: Path) -> None:
    text = page(tmp_path, film("L CC", [MASS], [])).text
    assert "from file to marks" not in text
    assert "Operating point" not in text


def test_seconds_are_averaged(tmp_path: Path) -> None:
    both = [film("L CC", [MASS], []), film("R CC", [MASS], [])]
    timed = [
        MarkedFilm(each.record, each.detections, each.name, each.group, seconds)
        for each, seconds in zip(both, (0.2, 0.6), strict=True)
    ]
    assert "0.4 s per film" in page(tmp_path, *timed).text


def test_a_film_that_cannot_be_read_keeps_its_place_and_its_figures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(path: Path) -> np.ndarray:
        raise DicomError(f"{path}: cut short")

    with caplog.at_level(logging.WARNING):
        made = page(tmp_path, film("L CC", [MASS], [MASS]), load_image=unreadable)
    assert "No picture:" in made.text
    assert "found, score 0.90" in made.text
    assert not made.all("img")
    assert "record LLLLLLLLLLLLLLLL is shown without a picture" in caplog.text


def test_boxes_are_left_out_where_the_file_has_another_size(tmp_path: Path) -> None:
    made = page(tmp_path, film("L CC", [MASS], [MASS]), load_image=lambda path: bright(path)[:-10])
    assert "The file has 120 × 190 px, its record says 120 × 200: no boxes drawn." in made.text
    assert not made.all("i", class_="mark")


def test_no_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one film"):
        write_marked_films(tmp_path / "films.html", [])
