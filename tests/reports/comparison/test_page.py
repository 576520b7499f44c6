"""The comparison's page: whole, self-contained, with both detectors side by side."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.metrics import DifferenceCurve
from mammo_monai.reports import INTENDED_USE
from mammo_monai.reports.comparison.compared import image_changes
from mammo_monai.reports.comparison.page import ComparisonPageOptions, write_comparison
from mammo_monai.reports.comparison.pictures import card_pair, galleries_of
from mammo_monai.reports.comparison.plot import curve_fppi, difference_svg
from mammo_monai.reports.page.shell import stylesheet
from mammo_monai.reports.runs import SYNTHETIC
from mammo_monai.schema import read_manifest, write_manifest
from tests.reports.comparison.scene import RULE, compared, write_pair
from tests.reports.html_parser import Page
from tests.reports.scene import ASIDE, FOUND, HEIGHT, MISSED, WIDTH


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return written(folder)


def written(folder: Path, *, options=None, load_image=None, **more) -> Page:
    loader = {} if load_image is None else {"load_image": load_image}
    write_comparison(folder / "compare.html", compared(folder, **more), options=options, **loader)
    return Page((folder / "compare.html").read_text(encoding="utf-8"))


def test_every_tag_is_closed_and_nothing_is_fetched(page: Page, folder: Path) -> None:
    assert page.open == []
    text = (folder / "compare.html").read_text()
    assert not page.all("script")
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert all("www.w3.org" in each for each in addresses)  # names of XML, not addresses to fetch
    assert "default-src 'none'" in text


def test_the_page_says_what_it_is_for_and_by_which_rule(page: Page) -> None:
    assert INTENDED_USE in page.text
    assert "A detection hits a lesion when IoU > 0.2 (strictly)" in page.text
    assert "percentiles over 60 resamples of 4\npatients" in page.text
    assert "30 random ways" in page.text


def test_the_headline_is_the_mean_with_interval_and_p_value(page: Page, folder: Path) -> None:
    mean = compared(folder).differences[0]
    assert f"p = {mean.p_value:.3f}, paired over 4 patients." in page.text
    assert "Mean sensitivity of model b − model a" in page.text
    assert f"95 % CI −{-mean.low:.3f} to +{mean.high:.3f}" in page.text


def test_both_curves_and_their_difference_are_drawn_in_two_widths(page: Page) -> None:
    drawings = [each for each in page.all("div") if each.get("role") == "img"]
    assert [each["class"] for each in drawings] == ["wide", "narrow"] * 2
    assert all(each["aria-label"] for each in drawings)


def test_each_changed_image_is_shown_whole_and_close_up_for_both(page: Page) -> None:
    assert len(page.all("figure", class_="twice")) == 4
    images = page.all("img")
    assert len(images) == 4 * 4
    assert all(each["alt"] and int(each["width"]) and int(each["height"]) for each in images)
    assert images[0]["alt"] == (
        "Whole image, R MLO, record 0000000000000000, model a: 1 of 2 lesions found, 0 false positives."
    )
    assert images[3]["alt"].startswith("Close-up, R MLO, record 0000000000000000, model b: 2 of 2 lesions")


def test_best_changes_come_before_worst_ones(page: Page) -> None:
    order = [
        "model b does better than model a 2 images, largest change first",
        "1 lesion found by model b alone",
        "1 more false positive by model a",
        "model b does worse than model a 1 image, largest change first",
        "1 lesion found by model a alone; 1 more false positive by model b",
        "Other lesions found, as many",
        "1 lesion found by model b alone; 1 lesion found by model a alone",
    ]
    places = [page.text.index(each) for each in order[:1]]
    for each in order[1:]:
        places.append(page.text.index(each, places[-1]))
    assert places == sorted(places)


def test_only_so_many_pictures_stand_in_a_gallery(folder: Path) -> None:
    page = written(folder, options=ComparisonPageOptions(per_gallery=1))
    assert len(page.all("figure", class_="twice")) == 3
    assert "1 of 2 images, largest change first" in page.text


def test_the_largest_lesion_that_changed_is_in_the_close_up(folder: Path) -> None:
    comparison = compared(folder)
    gain, saved, swap, loss = (card_pair(comparison, each) for each in image_changes(comparison))
    assert (gain.first.focus, gain.second.focus) == (MISSED, MISSED)
    assert saved.first.focus == ASIDE
    assert swap.first.focus == FOUND
    assert [(mark.kind, mark.box, mark.text) for mark in loss.second.marks] == [
        ("lesion", FOUND, ""),
        ("false positive", ASIDE, "0.30"),
    ]
    assert [mark.kind for mark in loss.first.marks] == ["lesion", "hit"]


def test_a_double_hit_is_drawn_neither_as_hit_nor_as_false_positive(folder: Path) -> None:
    comparison = compared(folder)
    changes = image_changes(comparison)
    twice = type(changes[0])(5, comparison.records[5], 1, (1, 1), (0,), (), (0, 0))
    assert [mark.text for mark in card_pair(comparison, twice).first.marks] == ["", "0.85"]


def test_galleries_hold_the_largest_change_first(folder: Path) -> None:
    groups = galleries_of(image_changes(compared(folder)))
    assert [each.image for each in groups.better] == [0, 3]
    assert [each.image for each in groups.worse] == [1]
    assert [each.image for each in groups.even] == [2]


def test_names_and_banner_are_escaped_and_folders_and_patients_are_not_told(folder: Path) -> None:
    options = ComparisonPageOptions("Made & drawn.", "mammo-monai compare a.json b.json")
    page = written(folder, options=options, names=("<A>", "B & C"))
    text = (folder / "compare.html").read_text()
    assert "<A>" not in text
    assert "B & C against <A>" in page.text
    assert "Made & drawn." in page.text
    assert "mammo-monai compare a.json b.json; seed 0." in page.text
    assert str(folder) not in text
    assert "patient 0" not in text


def test_provenance_holds_the_hashes_of_all_three_files(page: Page, folder: Path) -> None:
    comparison = compared(folder)
    for file in (comparison.first.file, comparison.second.file, comparison.manifest):
        assert file.sha256 in page.text
        assert file.name in page.text


def test_detectors_that_mark_little_are_said_to_end_early(page: Page) -> None:
    assert "model a makes 0.17 false positives per image at most; beyond, its last" in page.text


def test_identical_detectors_show_nothing_and_give_no_interval(tmp_path: Path) -> None:
    folder = write_pair(tmp_path)
    (folder / "b.json").write_bytes((folder / "a.json").read_bytes())
    page = written(folder)
    assert "No image differs at this operating point." in page.text
    assert "–: no interval: every resample gave the same difference." in page.text
    assert "No interval: every resample gave the same difference." in page.text
    assert not page.all("img")


def test_without_permutations_the_page_says_so(folder: Path) -> None:
    assert (
        "no p-value, paired over 4 patients. No p-value: no permutation"
        in written(folder, n_permutations=0).text
    )


def test_where_nothing_may_be_shown_the_page_says_so(folder: Path) -> None:
    assert "model a from score 0.7, model b from score 0.35" in written(folder, fppi=0.01).text
    assert "model a shows nothing" in written(tied(folder), fppi=0.01).text


def tied(folder: Path) -> Path:
    """As the pair, but the first detector's false positive and all its hits have one score."""
    copy = folder / "tied"
    copy.mkdir()
    write_pair(copy)
    text = (copy / "a.json").read_text()
    (copy / "a.json").write_text(re.sub(r"0\.(9|8|7|6|85|84)\b", "0.5", text))
    return copy


def test_long_tables_are_folded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammo_monai.reports.comparison.page._MANY_ROWS", 3)
    page = written(folder)
    assert "All 4 images that differ" in page.text
    assert "All 4 lesions found by one alone" in page.text


def test_an_image_that_cannot_be_read_is_said_and_the_rest_is_shown(folder: Path) -> None:
    def load(path: Path):
        if path.name == "image0.png":
            raise SyntaxError("broken PNG file")  # as Pillow does
        return np.zeros((HEIGHT, WIDTH), dtype=np.float32)

    page = written(folder, load_image=load)
    assert page.text.count("The image could not be read.") == 1
    assert len(page.all("img")) == 3 * 4


def test_each_image_is_read_once(folder: Path) -> None:
    loaded: list[str] = []

    def load(path: Path):
        loaded.append(path.name)
        return np.zeros((HEIGHT, WIDTH), dtype=np.float32)

    written(folder, load_image=load)
    assert sorted(loaded) == ["image0.png", "image1.png", "image2.png", "image3.png"]


def test_the_same_inputs_give_the_same_page(folder: Path) -> None:
    written(folder)
    first = (folder / "compare.html").read_bytes()
    written(folder)
    assert (folder / "compare.html").read_bytes() == first


def curve(difference: list[float], low: list[float], high: list[float]) -> DifferenceCurve:
    return DifferenceCurve(*(np.array(each) for each in ([0.125, 1.0, 4.0], difference, low, high)))


def test_the_curve_steps_from_value_to_value_with_0_in_the_middle() -> None:
    svg = difference_svg(
        curve([0.0, 0.2, -0.2], [-0.2, 0, -0.4], [0.2, 0.4, 0]), ("A", "<B>"), size=(582, 260)
    )
    # Margins leave 500 × 200 units: 0.125, 1 and 4 lie at 0, 3/5 and 1 of the width; ±0.4 at its ends.
    assert 'points="68.0,112.0 368.0,112.0 368.0,62.0 568.0,62.0 568.0,162.0"' in svg
    assert svg.count("<polygon") == 1
    assert "&lt;B&gt; finds more" in svg
    assert "+0.4<" in svg
    assert "−0.4<" in svg


def test_the_band_is_left_out_where_it_is_undefined() -> None:
    nan = float("nan")
    assert "<polygon" not in difference_svg(
        curve([0, 0, 0], [nan] * 3, [nan] * 3), ("A", "B"), size=(500, 300)
    )
    torn = difference_svg(curve([0, 0, 0], [-0.1, nan, -0.1], [0.1, nan, 0.1]), ("A", "B"), size=(500, 300))
    assert torn.count("<polygon") == 2


def test_a_curve_is_drawn_over_the_range_the_axis_shows() -> None:
    fppi = curve_fppi()
    assert (fppi[0], fppi[-1]) == pytest.approx((0.125, 4.0))
    assert len(fppi) == 61
    assert all(low < high for low, high in pairwise(fppi))
    assert RULE.fppi[-1] == 4.0


def test_synthetic_images_are_named_on_top_without_being_asked(folder: Path, tmp_path: Path) -> None:
    assert SYNTHETIC not in written(folder).text
    here = write_pair(tmp_path)
    manifest = replace(read_manifest(here / "manifest.json"), about={"is_phantom": True})
    write_manifest(here / "manifest.json", manifest)
    assert SYNTHETIC in written(here).text


def test_no_layout_of_the_report_reaches_the_pairs(page: Page) -> None:
    shared = stylesheet("report.css")
    for name in ("pairs", "twice", "sides", "side", "pictures"):
        assert any(name in (attrs.get("class") or "").split() for _, attrs in page.tags)
        assert re.search(rf"\.{name}\b", shared) is None
