"""The galleries on the page: each finding a crop with words, filters without a script, limits said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.files import sha256_of
from mammo_monai.reports.page import gallery
from mammo_monai.reports.page.gallery import fair_limit, gallery_section
from mammo_monai.reports.page.shell import stylesheet
from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.runs import Run, read_run
from mammo_monai.schema import Manifest, read_manifest
from tests.reports.html_parser import Page
from tests.reports.scene import HEIGHT, WIDTH, write_scene


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Run, Manifest]:
    folder = write_scene(tmp_path)
    return read_run(folder / "run"), read_manifest(folder / "manifest.json")


def section(*runs: Run, manifest: Manifest | None, sha256: str | None = None, **more) -> str:
    options = {"fppi": 4.0, "load_image": load_display_image, **more}
    return gallery_section(list(runs), manifest, sha256, options.pop("load_image"), **options)


def test_every_finding_is_a_crop_with_words_size_and_marks(scene) -> None:
    run, manifest = scene
    page = Page(section(run, manifest=manifest))
    assert page.open == []
    assert len(page.all("figure", class_="crop")) == len(page.all("img")) == 4  # one miss, two false, one hit
    for image in page.all("img"):
        assert image["src"].startswith("data:image/jpeg;base64,")
        assert image["loading"] == "lazy"
        assert int(image["width"])
        assert int(image["height"])
    texts = [image["alt"] for image in page.all("img")]
    assert texts[0] == (
        "Missed lesion, mass, 10 mm: no detection touches it. R MLO, record 0000000000000000."
    )
    assert any(text.startswith("False positive, 14 px, normal image: score 0.600.") for text in texts)
    assert any(
        text.startswith("Found lesion, mass, 15 mm, malignant, BI-RADS 5: score 0.900") for text in texts
    )


def test_a_page_of_hundreds_of_crops_lays_out_only_what_is_seen() -> None:
    css = stylesheet("gallery.css")
    assert re.search(r"\.crop \{[^}]*content-visibility: auto; contain-intrinsic-size: auto", css)


def test_each_crop_can_be_enlarged_by_key_and_without_a_script(scene) -> None:
    run, manifest = scene
    page = Page(section(run, manifest=manifest))
    knobs = page.all("input", class_="zoom")
    assert len(knobs) == 4
    assert all(knob["type"] == "checkbox" and knob["aria-label"].startswith("Enlarge: ") for knob in knobs)
    assert not page.all("script")
    assert ".crop:has(.zoom:checked)" in stylesheet("gallery.css")


def test_a_gallery_of_several_groups_can_be_narrowed_down(scene) -> None:
    run, manifest = scene
    text = section(run, manifest=manifest)
    page = Page(text)
    radios = page.all("input", type="radio")
    assert [radio["value"] for radio in radios] == ["0", "1", "2"]  # of the false positives alone
    assert len({radio["name"] for radio in radios}) == 1
    assert re.search(r'checked> all</label>.*value="1"> image with a lesion.*value="2"> normal image', text)
    assert len(page.all("figure", class_="g2")) == 1
    assert '[value="2"]:checked) .crop:not(.g2)' in stylesheet("gallery.css")


def test_filters_of_two_runs_do_not_work_each_other(scene) -> None:
    run, manifest = scene
    radios = Page(section(run, replace(run, name="b"), manifest=manifest)).all("input", type="radio")
    assert len({radio["name"] for radio in radios}) == 2


def test_so_many_are_shown_as_asked_for_and_the_page_says_what_is_left_out(scene) -> None:
    run, manifest = scene
    page = Page(section(run, manifest=manifest, per_gallery=1))
    assert len(page.all("img")) == 3
    assert "1 of 2, on 2 images; highest score first" in page.text
    assert "1 more are left out to bound the size of this page; --per-gallery sets" in page.text
    assert not Page(section(run, manifest=manifest, per_gallery=0)).all("img")
    with pytest.raises(ValueError, match=r"per_gallery must be at least 0 \(--per-gallery\), got -1"):
        section(run, manifest=manifest, per_gallery=-1)


def test_without_a_number_the_page_keeps_to_its_ceiling(scene, monkeypatch: pytest.MonkeyPatch) -> None:
    run, manifest = scene
    monkeypatch.setattr(gallery, "MAX_CROPS", 7)
    page = Page(section(run, replace(run, name="b"), manifest=manifest))
    assert len(page.all("img")) == 6  # eight would be all: each gallery is cut to one
    monkeypatch.setattr(gallery, "MAX_CROPS", 8)
    assert len(Page(section(run, run, manifest=manifest)).all("img")) == 8


@pytest.mark.parametrize(
    ("counts", "most", "limit"), [([], 5, 0), ([3], 5, 3), ([9], 5, 5), ([1, 9, 9], 11, 5), ([4, 4], 0, 0)]
)
def test_long_galleries_give_way_before_short_ones(counts: list[int], most: int, limit: int) -> None:
    assert fair_limit(counts, most) == limit
    assert sum(min(count, limit) for count in counts) <= most


def test_many_crops_are_printed_in_part(scene, monkeypatch: pytest.MonkeyPatch) -> None:
    run, manifest = scene
    assert "are printed" not in section(run, manifest=manifest)
    monkeypatch.setattr(gallery, "_ON_PAPER", 1)
    assert "The first 1 are printed; the page holds the rest." in section(run, manifest=manifest)
    assert ".crop:nth-child(n + 19) { display: none; }" in stylesheet("gallery.css")


def test_a_run_on_another_file_with_the_same_lesions_is_shown(scene) -> None:
    run, manifest = scene
    assert Page(section(run, manifest=manifest, sha256="0" * 64)).all("img")


def test_a_run_on_other_lesions_is_not_shown_and_is_warned_of(
    scene, caplog: pytest.LogCaptureFixture
) -> None:
    run, manifest = scene
    other = replace(manifest, test=manifest.test[1:])
    text = section(run, manifest=other, sha256="0" * 64)
    assert "scored on another manifest than the one given" in text
    assert not Page(text).all("img")
    assert "run a model: No pictures: this run was scored on another manifest" in caplog.text


def test_every_image_is_read_once_for_all_runs(scene) -> None:
    run, manifest = scene
    loaded: list[Path] = []

    def load(path: Path) -> np.ndarray:
        loaded.append(path)
        return np.zeros((HEIGHT, WIDTH), dtype=np.float32)

    section(run, replace(run, name="b"), manifest=manifest, load_image=load)
    assert len(loaded) == len(set(loaded)) == 2


def test_an_unreadable_image_leaves_a_place_with_words(scene) -> None:
    run, manifest = scene
    manifest.test[0].image.unlink()
    page = Page(section(run, manifest=manifest))
    assert page.text.count("The image could not be read.") == 3
    assert len(page.all("img")) == 1


def test_no_path_and_no_patient_stands_in_the_section(scene) -> None:
    run, manifest = scene
    text = section(run, manifest=manifest, sha256=sha256_of(Path(str(manifest.path))))
    assert str(manifest.test[0].image.parent) not in text
    assert "patient 0" not in text


def test_empty_galleries_say_why(tmp_path: Path) -> None:
    folder = write_scene(tmp_path, has_lesions=False)
    text = section(read_run(folder / "run"), manifest=read_manifest(folder / "manifest.json"), fppi=1.0)
    assert "These images hold no lesion to miss." in text
    assert "These images hold no lesion to find." in text
    nothing = section(read_run(folder / "run"), manifest=None)
    assert "made without a manifest (--manifest)" in nothing
    assert "numbers are scores" not in nothing


def test_a_run_without_the_operating_point_shows_nothing_instead_of_calling_all_missed(scene) -> None:
    run, manifest = scene
    assert run.point_at(0.7) is None
    page = Page(section(run, manifest=manifest, fppi=0.7))
    assert "No pictures: this run lists no operating point of 0.7 FPPI (--fppi)." in page.text
    assert not page.all("figure")
