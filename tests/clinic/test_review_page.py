"""The review page in a real browser: a reader's whole way from opening to export, and what can go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mammo_monai.dicom import read_attributes
from mammo_monai.dicom.results import read_marks
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections, write_detections
from mammo_monai.service.review import ImageReview, ReviewServer, open_review, read_worklist

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHOTS = Path(__file__).parents[2] / "build" / "clinic" / "review"
MODEL = {"bundle": "a_marker", "operating_point": {"threshold": 0.3, "fppi": 1.0}}
N_DENSE = 90
WIDE = {"width": 1440, "height": 900}
MEAN_GREY = """() => {
  const canvas = document.querySelector(".pane canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((_, n) => n % 4 === 0).reduce((sum, grey) => sum + grey, 0) / (data.length / 4);
}"""
ALL_HAVE_NAMES = """[...document.querySelectorAll("button, input, select, textarea")].every(
  (each) => each.labels?.length || each.textContent.trim() || each.ariaLabel)"""


@pytest.fixture
def server(films: list[Path], tmp_path: Path) -> Iterator[ReviewServer]:
    """Two patients, four real films each: three marks on the first film, many on the third, else none."""
    ours = [Detections(path.stem, image=path) for path in films]
    few = np.array([[700.0, 1500, 1100, 1950], [1400, 2200, 1800, 2650], [900, 900, 1000, 1000]])
    ours[0] = Detections(films[0].stem, few, np.array([0.87, 0.42, 0.1]), np.zeros(3, dtype=int), films[0])
    rng = np.random.default_rng(3)
    corners = rng.uniform(100, 2000, (N_DENSE, 2))
    dense = np.hstack([corners, corners + rng.uniform(80, 500, (N_DENSE, 2))])
    ours[2] = Detections(films[2].stem, dense, rng.uniform(0.3, 1, N_DENSE), np.zeros(N_DENSE, int), films[2])
    write_detections(tmp_path / "detections.json", ours, MODEL)
    worklist = read_worklist(tmp_path / "detections.json")
    with open_review(worklist, tmp_path / "out") as session, ReviewServer(session).running() as running:
        yield running


@pytest.fixture
def page(server: ReviewServer, chromium: Browser) -> Iterator[Page]:
    """The page in a fresh browser; any error on its console fails the test."""
    context = chromium.new_context(viewport=WIDE)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if "Security Policy" in said.text else None)
    opened.goto(server.address)
    opened.wait_for_selector("#list button")
    yield opened
    context.close()
    assert errors == []


def number_of(server: ReviewServer, film: Path) -> int:
    images = server.session.worklist.images
    return next(n for n, image in enumerate(images) if image.record_id == film.stem)


def wait_until(page: Page, claim: str) -> None:
    """Waits for a claim in JavaScript; playwright's own way needs `eval`, which the page's policy forbids."""
    for _ in range(400):
        if page.evaluate(claim):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {claim}")


def wait_for_count(page: Page, selector: str, count: int) -> None:
    """Waits until so many elements are there: the page draws a frame after its input."""
    wait_until(page, f"document.querySelectorAll({json.dumps(selector)}).length === {count}")


def go_to(page: Page, server: ReviewServer, film: Path) -> int:
    number = number_of(server, film)
    page.click(f'#list [data-number="{number}"]')
    page.wait_for_selector(f'#list [data-number="{number}"][aria-current]')
    wait_until(page, "document.querySelector('.pane .grey').textContent.startsWith('C ')")
    return number


def saved(page: Page, server: ReviewServer, number: int) -> ImageReview:
    """The review on the server once this window has nothing left to save; changes may share a revision."""
    wait_until(page, "document.getElementById('saved').textContent.startsWith('Saved')")
    return server.session.store.review(number)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    page.mouse.up(button=button)


def box_of(page: Page, selector: str) -> dict[str, float]:
    """Where an element lies; marks are drawn anew on each change, and for a moment are not there."""
    for _ in range(100):
        found = page.locator(selector).bounding_box()
        if found is not None:
            return dict(found)
        page.wait_for_timeout(50)
    raise AssertionError(f"{selector} has no place on the page")


def test_a_reader_looks_rejects_moves_draws_and_exports(
    page: Page, server: ReviewServer, films: list[Path]
) -> None:
    number = go_to(page, server, films[0])
    wait_for_count(page, ".mark", 2)  # the third is below the operating point
    page.locator("#threshold").fill("0.05")
    wait_for_count(page, ".mark", 3)
    page.get_by_role("button", name="1 FPPI").click()
    wait_for_count(page, ".mark", 2)

    page.locator('li[data-id="m2"] [data-verdict=rejected]').click()
    page.wait_for_selector(".mark.rejected[data-id=m2]")
    page.locator('li[data-id="m1"] .pick').click()
    at = box_of(page, ".mark[data-id=m1] .grip")
    middle = (at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    drag(page, middle, (middle[0] + 30, middle[1] - 20))
    page.wait_for_selector('li[data-id="m1"] .restore:visible')

    page.keyboard.press("d")
    pane = box_of(page, ".pane canvas")
    start = (pane["x"] + pane["width"] * 0.5, pane["y"] + pane["height"] * 0.75)
    drag(page, start, (start[0] + 60, start[1] + 50))
    page.locator("li.picked select").select_option(label="calcification")
    page.locator("li.picked .remark").fill("cluster")
    page.locator("#reader").fill("AB")
    page.locator("#done").click()
    wait_until(page, "document.getElementById('progress-text').textContent === '1 of 8 reviewed'")
    assert saved(page, server, number).is_reviewed

    page.reload()
    page.wait_for_selector(f'#list [data-number="{number}"].done')
    go_to(page, server, films[0])
    wait_for_count(page, ".mark.rejected[data-id=m2]", 1)
    assert page.locator("#title").get_attribute("data-done") == "reviewed by AB"
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "reviewed.png")

    page.locator("#export").click()
    page.get_by_text("2 boxes of 1 reviewed images").wait_for()
    (done,) = read_detections(server.session.store.folder / "corrected.detections.json").detections
    (marks,) = read_marks(server.session.store.folder / "sr" / f"{films[0].stem}.dcm")
    np.testing.assert_allclose(marks.boxes, done.boxes, atol=0.01)
    moved, drawn = done.boxes
    scale = pane["height"] * 0.98 / read_attributes(films[0]).rows  # the whole film is in view
    shift = np.array([30, -20, 30, -20]) / scale
    np.testing.assert_allclose(moved, np.array([700, 1500, 1100, 1950]) + shift, atol=2 / scale)
    np.testing.assert_allclose(drawn[2:] - drawn[:2], np.array([60, 50]) / scale, atol=2 / scale)
    assert done.labels.tolist() == [0, 1]
    coco = json.loads((server.session.store.folder / "corrected.coco.json").read_text())
    assert [each["comment"] for each in coco["annotations"]] == ["", "cluster"]


def test_marks_without_a_verdict_are_asked_about_and_initials_are_needed(
    page: Page, server: ReviewServer, films: list[Path]
) -> None:
    number = go_to(page, server, films[0])
    page.keyboard.press("Enter")
    assert "initials" in page.inner_text("#alarm")
    page.locator("#reader").fill("CD")
    page.locator("#done").click()
    page.get_by_role("button", name="Back to the image").click()
    assert server.session.store.review(number).revision == 0
    page.locator("#done").click()
    page.get_by_role("button", name="Accept all 2").click()
    review = saved(page, server, number)
    assert (review.is_reviewed, [mark.id for mark in review.accepted]) == (True, ["m1", "m2"])


def test_the_keyboard_alone_reviews_an_image(page: Page, server: ReviewServer, films: list[Path]) -> None:
    number = go_to(page, server, films[0])
    page.locator("#reader").fill("EF")
    page.keyboard.press("Escape")
    for key in ("j", "a", "j", "r", "Shift+D", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    marks = saved(page, server, number).marks
    assert [mark.verdict for mark in marks] == ["accepted", "rejected", None, "accepted"]
    sides = marks[3].box[2] - marks[3].box[0], marks[3].box[3] - marks[3].box[1]
    assert sides[1] > sides[0]  # a square, made taller by Shift and an arrow
    page.keyboard.press("Control+z")
    wait_until(page, "!document.getElementById('redo').disabled")
    page.keyboard.press("Delete")
    wait_until(page, "document.querySelectorAll('.mark.reader').length === 0")
    page.keyboard.press("Control+z")
    wait_until(page, "document.querySelectorAll('.mark.reader').length === 1")
    page.keyboard.press("Enter")
    wait_until(page, "document.getElementById('progress-text').textContent.startsWith('1 of 8')")


def test_two_windows_never_overwrite_each_other_silently(
    page: Page, server: ReviewServer, films: list[Path]
) -> None:
    number = go_to(page, server, films[0])
    second = page.context.new_page()
    second.goto(server.address)
    go_to(second, server, films[0])
    page.locator('li[data-id="m1"] [data-verdict=accepted]').click()
    assert saved(page, server, number).revision == 1
    second.locator('li[data-id="m2"] [data-verdict=rejected]').click()
    second.get_by_text("was changed in another window").wait_for()
    assert [mark.verdict for mark in server.session.store.review(number).marks] == ["accepted", None, None]
    second.keyboard.press("Escape")  # decides nothing: it is asked again
    second.get_by_role("button", name="Take what is saved").click()
    second.wait_for_selector(".mark.accepted[data-id=m1]")
    wait_for_count(second, ".mark.rejected", 0)


def test_a_server_that_stops_is_said_and_nothing_is_lost_when_it_answers_again(
    page: Page, server: ReviewServer, films: list[Path]
) -> None:
    number = go_to(page, server, films[0])
    page.context.set_offline(True)
    page.locator('li[data-id="m1"] [data-verdict=accepted]').click()
    page.get_by_text("Your changes are kept in this window").wait_for()
    page.context.set_offline(False)
    assert saved(page, server, number).marks[0].verdict == "accepted"
    page.wait_for_selector("#alarm", state="hidden")


def test_the_picture_zooms_pans_windows_inverts_and_mirrors_with_its_boxes(
    page: Page, server: ReviewServer, films: list[Path]
) -> None:
    go_to(page, server, films[0])
    pane = box_of(page, ".pane canvas")
    middle = (pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2)
    before, grey = box_of(page, ".mark[data-id=m1] .line"), page.inner_text(".pane .grey")
    page.mouse.move(*middle)
    page.mouse.wheel(0, -400)
    wait_until(page, f"document.querySelector('.pane .grey').textContent !== {json.dumps(grey)}")
    zoomed = box_of(page, ".mark[data-id=m1] .line")
    assert zoomed["width"] > 1.5 * before["width"]
    drag(page, middle, (middle[0] + 50, middle[1] + 40), button="right")
    page.wait_for_timeout(100)
    panned = box_of(page, ".mark[data-id=m1] .line")
    assert (round(panned["x"] - zoomed["x"]), round(panned["y"] - zoomed["y"])) == (50, 40)
    as_first = page.evaluate(MEAN_GREY)
    drag(page, (pane["x"] + 20, pane["y"] + 300), (pane["x"] + 20, pane["y"] + 200))
    page.wait_for_timeout(100)
    assert page.evaluate(MEAN_GREY) != pytest.approx(as_first, rel=0.02)
    page.keyboard.press("w")
    page.keyboard.press("f")
    page.keyboard.press("m")
    page.wait_for_timeout(200)
    mirrored = box_of(page, ".mark[data-id=m1] .line")
    centre = pane["x"] + pane["width"] / 2
    assert mirrored["x"] + mirrored["width"] - centre == pytest.approx(centre - before["x"], abs=2)
    assert "mirrored" in page.inner_text(".where")
    dark = page.evaluate(MEAN_GREY)
    page.keyboard.press("i")
    page.wait_for_timeout(200)
    assert page.evaluate(MEAN_GREY) > dark


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_handle_moves_its_corner_alone(
    page: Page, server: ReviewServer, films: list[Path], is_mirrored: bool
) -> None:
    number = go_to(page, server, films[0])
    if is_mirrored:
        page.keyboard.press("m")
    page.locator('li[data-id="m1"] .pick').click()
    at = box_of(page, ".mark[data-id=m1] .handle.se")
    middle = (at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    drag(page, middle, (middle[0] + 40, middle[1] + 30))
    pane = box_of(page, ".pane canvas")
    scale = pane["height"] * 0.98 / read_attributes(films[0]).rows
    wider, taller = 40 / scale, 30 / scale
    expected = (
        [700 - wider, 1500, 1100, 1950 + taller] if is_mirrored else [700, 1500, 1100 + wider, 1950 + taller]
    )
    np.testing.assert_allclose(saved(page, server, number).marks[0].box, expected, atol=2 / scale)


def test_views_hang_side_by_side_and_breasts_back_to_back(
    page: Page, server: ReviewServer, films: list[Path]
) -> None:
    go_to(page, server, films[0])
    for key, count in (("2", 2), ("3", 2), ("4", 4), ("1", 1)):
        page.keyboard.press(key)
        wait_until(page, f"document.querySelectorAll('.pane').length === {count}")
        if key == "4":
            wait_until(
                page, "[...document.querySelectorAll('.pane .grey')].every((each) => each.textContent)"
            )
            names = page.locator(".pane .where").all_inner_texts()
            assert names == ["R CC", "L CC", "R MLO", "L MLO"]
            page.screenshot(path=SHOTS / "four.png")


@pytest.mark.parametrize(
    ("name", "film", "size"),
    [("dense", 2, WIDE), ("empty", 1, WIDE), ("narrow", 0, {"width": 420, "height": 860})],
)
def test_no_case_runs_out_of_its_window(
    page: Page, server: ReviewServer, films: list[Path], name: str, film: int, size: dict[str, int]
) -> None:
    page.set_viewport_size(size)
    go_to(page, server, films[film])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(ALL_HAVE_NAMES)
    wait_for_count(page, ".mark", {"dense": N_DENSE, "empty": 0, "narrow": 2}[name])
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
