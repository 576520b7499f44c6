"""The report page: whole, self-contained, honest about what it does not have."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.reports import INTENDED_USE, ReportOptions, read_run, write_report
from mammo_monai.reports.formats import write_report_as
from mammo_monai.reports.runs import SYNTHETIC
from mammo_monai.schema import read_manifest
from tests.reports.html_parser import Page
from tests.reports.scene import HEIGHT, WIDTH, score, write_scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_scene(tmp_path)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """For claims about words and pictures: the plots of a page take a second and a half."""
    monkeypatch.setattr("mammo_monai.reports.page.figures.plot_figure", lambda *args, **options: "")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of one run and its manifest, for tests that only look at it."""
    folder = write_scene(tmp_path_factory.mktemp("written"))
    report(folder)
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    """The page of `written`."""
    return Page((written / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page_alone(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of the same run without its manifest."""
    return report(write_scene(tmp_path_factory.mktemp("alone")), has_manifest=False)


def report(folder: Path, *, names=("run",), has_manifest=True, options=None, **more) -> Page:
    runs = [read_run(folder / name) for name in names]
    manifest = read_manifest(folder / "manifest.json") if has_manifest else None
    write_report(folder / "report.html", runs, manifest=manifest, options=options, **more)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_every_tag_is_closed_and_nothing_is_fetched(written: Path, page: Page) -> None:
    assert page.open == []
    text = (written / "report.html").read_text()
    assert not page.all("script")
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert all("www.w3.org" in each for each in addresses)  # names of XML, not addresses to fetch
    assert "url(http" not in text


def test_the_page_says_what_it_is_for_and_by_which_rule(page: Page) -> None:
    assert INTENDED_USE in page.text
    assert INTENDED_USE.startswith("It marks, it never diagnoses")
    assert "A detection hits a lesion when IoU > 0.2 (strictly)" in page.text


@pytest.mark.usefixtures("no_plots")
def test_title_and_banner_are_shown_and_escaped(folder: Path) -> None:
    options = ReportOptions(
        title="A < B", banner="Phantom figures are not clinical figures.", command="x & y"
    )
    page = report(folder, options=options)
    assert "A < B" in page.text
    assert "Phantom figures are not clinical figures." in page.text
    assert "x & y" in page.text
    assert "A < B" not in (folder / "report.html").read_text()


def test_both_themes_and_both_widths_are_there(written: Path, page: Page) -> None:
    text = (written / "report.html").read_text()
    assert text.count("prefers-color-scheme: dark") == 2
    assert "max-width: 40rem" in text
    # FROC, sizes, normal images, and what the evaluation adds: each in both widths.
    shown = [each["class"] for each in page.all("div") if each.get("role") == "img"]
    assert len(shown) >= 2
    assert shown == ["wide", "narrow"] * (len(shown) // 2)


def test_provenance_holds_hashes_and_no_folder(written: Path, page: Page) -> None:
    run = read_run(written / "run")
    for file in run.files:
        assert file.sha256 in page.text
    assert run.inputs["manifest_sha256"] in page.text
    text = (written / "report.html").read_text()
    assert str(written) not in text
    assert "patient 0" not in text


def test_without_lesions_sensitivity_is_undefined_and_not_zero(tmp_path: Path) -> None:
    page = report(write_scene(tmp_path, has_lesions=False))
    assert "undefined: no lesion to find" in page.text
    assert "These images hold no lesion to find." in page.text
    assert "0.00 (" not in page.text


def test_without_detections_the_page_shows_the_misses(tmp_path: Path) -> None:
    page = report(write_scene(tmp_path, has_detections=False))
    assert "nothing is shown there" in page.text
    assert "No false positive at this operating point." in page.text
    assert len(page.all("img")) == 2  # a crop of each


def test_without_a_manifest_there_are_no_pictures(page_alone: Page) -> None:
    assert not page_alone.all("img")
    assert "made without a manifest (--manifest)" in page_alone.text


@pytest.mark.usefixtures("no_plots")
def test_a_run_scored_on_another_manifest_gets_no_pictures(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("000000", "aaaaaa"))
    assert "scored on another manifest than the one given" in report(folder).text


def test_metrics_without_detections_or_images_get_no_pictures(folder: Path) -> None:
    run, manifest = read_run(folder / "run"), read_manifest(folder / "manifest.json")
    bare = type(run)(run.name, {k: v for k, v in run.metrics.items() if k != "images"}, run.detections)
    alone = type(run)(run.name, run.metrics)
    write_report(folder / "report.html", [bare, alone], manifest=manifest)
    text = (folder / "report.html").read_text()
    assert "these metrics list no images" in text
    assert "no detections.json lies beside these metrics" in text


@pytest.mark.usefixtures("no_plots")
def test_a_manifest_made_in_memory_serves_as_well(folder: Path) -> None:
    manifest = read_manifest(folder / "manifest.json")
    unsaved = type(manifest)(test=manifest.test)
    write_report(folder / "report.html", [read_run(folder / "run")], manifest=unsaved)
    assert Page((folder / "report.html").read_text()).all("img")


def test_runs_of_different_rules_carry_a_warning(folder: Path, page: Page) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "detections.json").write_bytes((folder / "run" / "detections.json").read_bytes())
    score(folder, "other", min_iou=0.5)
    assert "do not compare them with each other" in report(folder, names=("run", "other")).text
    assert "do not compare them with each other" not in page.text


def test_published_figures_are_shown_only_when_asked(folder: Path, page: Page) -> None:
    assert "Not comparable unless" not in page.text
    asked = report(folder, options=ReportOptions(has_published=True))
    assert "Not comparable unless split and rule are the same." in asked.text
    assert "Published figures, for context" in asked.text


def test_wilson_intervals_are_explained_where_they_stand(tmp_path: Path) -> None:
    folder = write_scene(tmp_path)
    score(folder, "run", n_bootstrap=0)
    assert "Wilson interval" in report(folder).text


@pytest.mark.usefixtures("no_plots")
def test_an_image_that_cannot_be_read_is_said_and_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "image0.png").unlink()
    page = report(folder)
    assert "The image could not be read." in page.text
    assert "record 0000000000000000 is shown without pictures" in caplog.text
    assert len(page.all("img")) == 1  # the false positive of the other image


@pytest.mark.usefixtures("no_plots")
def test_an_image_of_another_size_than_its_record_is_not_marked(folder: Path) -> None:
    page = report(folder, load_image=lambda path: np.zeros((HEIGHT, WIDTH - 1), dtype=np.float32))
    assert f"The image has {WIDTH - 1} × {HEIGHT} px, its record says {WIDTH} × {HEIGHT}." in page.text
    assert not page.all("img")


@pytest.mark.usefixtures("no_plots")
def test_each_image_is_loaded_once(folder: Path) -> None:
    loaded: list[Path] = []

    def load(path: Path):
        loaded.append(path)
        return np.zeros((HEIGHT, WIDTH), dtype=np.float32)

    report(folder, load_image=load)
    assert len(loaded) == len(set(loaded)) == 2


def test_the_same_inputs_give_the_same_page(written: Path) -> None:
    first = (written / "report.html").read_bytes()
    report(written)
    assert (written / "report.html").read_bytes() == first


def test_a_report_on_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="at least one run"):
        write_report(tmp_path / "report.html", [])


def test_the_data_scored_on_are_summed_up_where_there_is_a_manifest(page: Page, page_alone: Page) -> None:
    def anchors(page: Page) -> list[str]:
        return [each["id"] for each in page.all("div", class_="part")]

    assert "data" in anchors(page)
    assert "data" not in anchors(page_alone)


@pytest.mark.usefixtures("no_plots")
def test_so_many_crops_are_shown_as_asked_for(folder: Path, page: Page) -> None:
    assert len(page.all("img")) == 4  # one miss, two false positives, one hit
    assert len(report(folder, options=ReportOptions(per_gallery=1)).all("img")) == 3


def test_the_page_prints_on_a4_without_contents_and_with_the_rule(written: Path) -> None:
    printed = (written / "report.html").read_text().split("@media print {")
    rules = "".join(printed[1:])
    assert "@page { size: A4" in "".join(printed)
    assert ".contents { display: none; }" in rules
    assert "break-inside: avoid" in rules
    assert ".rule::details-content" in rules


@pytest.mark.usefixtures("no_plots")
def test_synthetic_images_are_named_on_top(folder: Path) -> None:
    run = read_run(folder / "run")
    pages = []
    for each in (run, replace(run, is_synthetic=True)):
        write_report(folder / "page.html", [each])
        pages.append((folder / "page.html").read_text(encoding="utf-8"))
    assert [SYNTHETIC in page for page in pages] == [False, True]


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("suffix", ["html", "tex"])
def test_synthetic_images_are_named_when_metrics_or_the_manifest_say_so(folder: Path, suffix: str) -> None:
    path, manifest = folder / f"report.{suffix}", read_manifest(folder / "manifest.json")
    phantoms = replace(manifest, about={"is_phantom": True})

    def is_named(**more) -> bool:
        write_report_as(path, [read_run(folder / "run")], **more)
        return SYNTHETIC in path.read_text(encoding="utf-8")

    assert [is_named(), is_named(manifest=manifest), is_named(manifest=phantoms)] == [False, False, True]
    metrics = folder / "run" / "metrics.json"
    content = json.loads(metrics.read_text())
    content["inputs"] = {**content.get("inputs", {}), "is_phantom": True}
    metrics.write_text(json.dumps(content))
    assert is_named()
    (folder / "run" / "detections.json").unlink()
    assert is_named()
