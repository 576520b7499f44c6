"""The data browser: every image with its boxes, page by page, from pictures that are made once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import ImageFrame
from mammo_monai.records import Lesion
from mammo_monai.reports.browser.contact_sheet import Browsed, BrowserOptions, write_data_browser
from mammo_monai.reports.browser.selection import Selection
from mammo_monai.reports.page.shell import INTENDED_USE, PHANTOMS
from mammo_monai.schema import Manifest
from tests.reports.audit_scene import MASS, audited, findings, record
from tests.reports.html_parser import Page


def browse(folder: Path, manifest: Manifest | None = None, found=None, selection=None, **options) -> Page:
    write_data_browser(
        folder / "show.html",
        audited(folder) if manifest is None else manifest,
        findings() if found is None else found,
        selection=selection,
        options=BrowserOptions(**options),
    )
    return read(folder / "show.html")


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def many(folder: Path, count: int = 5) -> Manifest:
    return Manifest(test=tuple(record(folder, n) for n in range(count)))


def test_every_image_has_a_card_with_its_facts(tmp_path: Path) -> None:
    page = browse(tmp_path)
    cards = page.all("article")
    assert len(cards) == 5
    assert cards[0] == {
        "class": "card",
        "data-list": "training",
        "data-holds": "mass",
        "data-types": "mass|calcification",
        "data-view": "MLO",
        "data-laterality": "R",
        "data-birads": "5",
        "data-density": "c",
        "data-codes": "side-differs",
    }
    assert cards[1]["data-holds"] == "no lesion"
    assert cards[4]["data-list"] == "left out"
    for said in (
        "R MLO",
        "BI-RADS 5",
        "density c",
        "mass, BI-RADS 4, malignant, 20 × 15 mm",
        "No lesion annotated",
        "Image left out",
        f"{0:016x}",
        INTENDED_USE,
    ):
        assert said in page.text


def test_phantoms_are_named_as_such(tmp_path: Path) -> None:
    assert PHANTOMS not in browse(tmp_path).text
    made = replace(audited(tmp_path), about={"is_phantom": True})
    assert PHANTOMS in browse(tmp_path, made).text


def test_every_tag_is_closed_and_only_the_folder_beside_is_read(tmp_path: Path) -> None:
    page = browse(tmp_path)
    assert page.open == []
    for image in page.all("img"):
        assert (tmp_path / image["src"]).is_file()
        assert image["src"].startswith("show_files/pictures/")
        assert image["alt"]
        assert image["loading"] == "lazy"
    assert not re.findall(r"https?://", (tmp_path / "show.html").read_text())
    assert not page.all("link")


def test_boxes_of_every_kind_are_drawn_and_named_and_the_breast_is_outlined(tmp_path: Path) -> None:
    page = browse(tmp_path)
    assert len(page.all("i", class_="mark")) == 3
    assert len(page.all("polygon")) == 3
    assert "M mass" in page.text
    assert "C calcification" in page.text


def test_no_path_file_name_or_patient_stands_in_pages_names_or_index(tmp_path: Path) -> None:
    browse(tmp_path, per_page=2)
    pages = [tmp_path / "show.html", *(tmp_path / "show_files").rglob("*")]
    assert len(pages) > 5
    for path in pages:
        assert "MARKER" not in path.name
        if path.is_file():
            assert b"MARKER" not in path.read_bytes()
            assert str(tmp_path).encode() not in path.read_bytes()


def test_patients_are_numbered_the_same_on_all_their_images(tmp_path: Path) -> None:
    text = browse(tmp_path).text
    assert re.findall(r"· patient (\d+)", text) == ["1", "2", "2"]


def test_images_that_cannot_be_shown_are_counted_and_said(tmp_path: Path, caplog) -> None:
    done = write_data_browser(tmp_path / "show.html", audited(tmp_path))
    assert done == Browsed(n_pages=1, n_images=5, n_matching=5, n_without_picture=2)
    page = read(tmp_path / "show.html")
    assert "No picture: the file is damaged or cut short." in page.text
    assert "record 9999999999999999 is shown without a picture" in caplog.text
    assert "MARKER" not in caplog.text


def test_pages_link_to_each_other_and_to_their_pictures(tmp_path: Path) -> None:
    browse(tmp_path, many(tmp_path), per_page=2)
    paths = [tmp_path / "show.html", *(tmp_path / "show_files" / f"page-{n}.html" for n in (2, 3))]
    sizes = []
    for path in paths:
        page = read(path)
        sizes.append(len(page.all("article")))
        assert page.open == []
        links = [each["href"] for each in page.all("a") if "data-page" in each]
        assert [(path.parent / link).resolve() for link in links] == [each.resolve() for each in paths]
        assert all((path.parent / each["src"]).is_file() for each in page.all("img"))
        (index,) = [each for each in page.all("script") if "src" in each]
        assert (path.parent / index["src"]).is_file()
    assert sizes == [2, 2, 1]


def test_the_index_holds_the_facts_of_all_pages(tmp_path: Path) -> None:
    page = browse(tmp_path, per_page=3)
    text = (tmp_path / "show_files" / "index.js").read_text()
    index = json.loads(text.removeprefix("window.mammoIndex=").removesuffix(";\n"))
    assert [row[0] for row in index["rows"]] == [1, 1, 1, 2, 2]
    for row, card in zip(index["rows"], page.all("article"), strict=False):
        assert row[1:] == [card[f"data-{field}"] for field in index["fields"]]


def test_one_page_needs_no_index_and_an_older_longer_browser_is_cleared_away(tmp_path: Path) -> None:
    manifest = many(tmp_path)
    browse(tmp_path, manifest, per_page=1)
    assert (tmp_path / "show_files" / "page-5.html").is_file()
    page = browse(tmp_path, manifest)
    assert [path.name for path in (tmp_path / "show_files").iterdir()] == ["pictures"]
    assert not [each for each in page.all("script") if "src" in each]
    assert not page.all("nav")


def test_filters_offer_what_tells_the_images_apart(tmp_path: Path) -> None:
    names = [each["name"] for each in browse(tmp_path).all("select")]
    assert names == ["list", "holds", "types", "view", "laterality", "birads", "density", "codes"]
    alike = browse(tmp_path, many(tmp_path), [])
    assert not alike.all("select")


def test_all_is_readable_without_a_script(tmp_path: Path) -> None:
    page = browse(tmp_path, many(tmp_path), per_page=2)
    assert {attrs.get("class") for tag, attrs in page.tags if "hidden" in attrs} == {"filters", "none quiet"}
    for link in page.all("a", class_="open"):
        assert (tmp_path / link["href"]).is_file()
        assert link["aria-label"].startswith("Enlarge View unknown, record 00000000")


def test_a_picture_is_made_once_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    manifest, loaded = many(tmp_path), []

    def load(path: Path):
        from mammo_monai.reports.pictures.loading import load_display_image

        if len(loaded) == 3:
            raise KeyboardInterrupt
        loaded.append(path)
        return load_display_image(path)

    with pytest.raises(KeyboardInterrupt):
        browse(tmp_path, manifest, load_image=load)
    assert not (tmp_path / "show.html").exists()
    left = []

    def load_rest(path: Path):
        from mammo_monai.reports.pictures.loading import load_display_image

        left.append(path)
        return load_display_image(path)

    browse(tmp_path, manifest, load_image=load_rest)
    assert loaded + left == [each.image for each in manifest.test]


def test_the_same_inputs_give_the_same_pages_with_any_number_of_workers(tmp_path: Path) -> None:
    manifest = audited(tmp_path)

    def content() -> dict[str, bytes]:
        files = [tmp_path / "show.html", *(tmp_path / "show_files").rglob("*.*")]
        return {path.name: path.read_bytes() for path in files}

    browse(tmp_path, manifest, per_page=2)
    first = content()
    for path in (tmp_path / "show_files" / "pictures").iterdir():
        path.unlink()
    browse(tmp_path, manifest, per_page=2, workers=2)
    assert content() == first


def test_progress_is_told_image_by_image(tmp_path: Path) -> None:
    told = []
    browse(tmp_path, many(tmp_path, 3), on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_part_of_the_images_says_of_how_many(tmp_path: Path) -> None:
    page = browse(tmp_path, selection=Selection(limit=2))
    assert "2 of 5 images" in page.text
    assert len(page.all("article")) == 2


def test_an_image_with_many_lesions_lists_the_first_and_counts_all(tmp_path: Path) -> None:
    lesions = (*[Lesion(MASS, type="calcification", label=1)] * 60, Lesion(MASS))
    page = browse(tmp_path, Manifest(test=(record(tmp_path, 0, lesions=lesions),)))
    assert len(page.all("li")) == 41
    assert page.all("li")[0]["class"] == "mass"
    assert "61 in all: 1 mass, 60 calcification" in page.text


def test_prepared_copies_carry_their_boxes_by_their_frame_and_a_note(tmp_path: Path) -> None:
    prepared = record(tmp_path, 0, lesions=(Lesion((100, 200, 110, 220)),), prepared={"key": "k"})
    prepared = replace(prepared, width=600, height=900)
    manifest = Manifest(test=(prepared,))
    from mammo_monai.geometry import Scale

    frame = ImageFrame(600, 900).then(Scale(600, 900, 60, 90))
    page = browse(tmp_path, manifest, frame_of=lambda _: frame)
    assert len(page.all("i", class_="mark")) == 1
    assert "Prepared copies: cropped, resized and turned" in page.text

    def damaged(_):
        raise ManifestError("cut short")

    for frame_of in (None, damaged):
        page = browse(tmp_path, manifest, frame_of=frame_of)
        assert not page.all("i", class_="mark")
        assert "A prepared copy: boxes are not drawn." in page.text


@pytest.mark.parametrize("option", ["per_page", "size_px", "workers"])
def test_a_number_below_one_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ValueError, match=r"at least 1, got .*0"):
        browse(tmp_path, **{option: 0})
    assert not (tmp_path / "show.html").exists()


def test_a_page_is_not_written_over_the_manifest_or_under_another_kind_of_name(tmp_path: Path) -> None:
    manifest = many(tmp_path)
    for name in ("manifest.json", "audit.csv", "show"):
        (tmp_path / name).write_text("kept")
        with pytest.raises(ValueError, match=f"{name}: a page's name must end in .html"):
            write_data_browser(tmp_path / name, manifest)
        assert (tmp_path / name).read_text() == "kept"


def test_a_page_may_have_any_name_a_folder_takes(tmp_path: Path) -> None:
    write_data_browser(tmp_path / "set #1: 50%?.html", many(tmp_path, 2), options=BrowserOptions(per_page=1))
    first = read(tmp_path / "set #1: 50%?.html")
    links = [each["href"] for each in (*first.all("a", class_="open"), *first.all("a", **{"data-page": "2"}))]
    (source,) = (each["src"] for each in first.all("img"))
    (index,) = (each["src"] for each in first.all("script") if "src" in each)
    for address in (*links, source, index):
        assert not set(":#?") & set(address)
        assert (tmp_path / unquote(address)).is_file()
    second = read(tmp_path / "set #1: 50%?_files" / "page-2.html")
    (back,) = (each["href"] for each in second.all("a", **{"data-page": "1"}))
    assert (tmp_path / "set #1: 50%?_files" / unquote(back)).is_file()
