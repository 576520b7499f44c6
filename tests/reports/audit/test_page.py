"""audit.html: a verdict, what there is, every finding, the odd images; and no name of anyone or anywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mammo_monai.reports.audit.page import AuditPageOptions, verdict, write_audit_page
from mammo_monai.reports.page.shell import INTENDED_USE, PHANTOMS
from mammo_monai.schema import Action, Finding, Manifest, Quarantined
from tests.reports.audit_scene import PATIENTS, audited, findings, record
from tests.reports.html_parser import Page


def page_of(folder: Path, manifest: Manifest | None = None, found=None, **options) -> Page:
    write_audit_page(
        folder / "audit.html",
        audited(folder) if manifest is None else manifest,
        findings() if found is None else found,
        options=AuditPageOptions(**options),
    )
    return Page((folder / "audit.html").read_text(encoding="utf-8"))


def words(page: Page) -> str:
    return re.sub(r"\s+", " ", page.text)


def test_every_tag_is_closed_and_nothing_is_fetched(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert page.open == []
    assert not page.all("link")
    assert not [each for each in page.all("script") if "src" in each]
    assert all(each["src"].startswith("data:image/jpeg;base64,") for each in page.all("img"))
    assert not re.findall(r"https?://", (tmp_path / "audit.html").read_text())
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policy["content"]


def test_the_page_says_what_it_is_for(tmp_path: Path) -> None:
    assert INTENDED_USE in page_of(tmp_path).text


def test_phantoms_are_named_as_such(tmp_path: Path) -> None:
    assert PHANTOMS not in page_of(tmp_path, audited(tmp_path)).text
    assert PHANTOMS in page_of(tmp_path, audited(tmp_path, about={"is_phantom": True})).text


def test_no_path_file_name_or_patient_stands_in_the_page(tmp_path: Path) -> None:
    leaks = [
        Finding("leak", f"{n:016x}", f"{text} is odd", action, f"{text} row 1")
        for n, action in enumerate(Action)
        for text in (
            *PATIENTS,
            "MARKERfile0.png",
            "MARKERfile0",
            "MARKERfolder/x.png",
            str(tmp_path / "MARKER"),
        )
    ]
    page_of(tmp_path, found=[*findings(), *leaks], max_rows=1000)
    text = (tmp_path / "audit.html").read_text()
    assert "[withheld] is odd" in text
    assert "MARKER" not in text
    assert str(tmp_path) not in text
    assert "manifest.json" not in text


@pytest.mark.parametrize(
    ("actions", "left_out", "level", "sentence"),
    [
        ([], 0, "clean", "Clean: 3 images, nothing to report."),
        (["repaired"], 0, "clean", "Clean: 3 images, 1 finding put right on reading."),
        (["warned"], 0, "warnings", "Usable, with warnings: 3 images; 1 warning to look at."),
        (
            ["quarantined", "warned", "warned", "repaired"],
            1,
            "warnings",
            "Usable, with warnings: 3 images; 1 image left out, 2 warnings to look at, 1 put right on "
            "reading.",
        ),
    ],
)
def test_the_verdict_follows_from_the_findings(
    tmp_path: Path, actions: list[str], left_out: int, level: str, sentence: str
) -> None:
    quarantined = (Quarantined("9" * 16, "c"),) * left_out
    manifest = replace(audited(tmp_path), quarantined=quarantined)
    found = [Finding("c", "", "x", Action(action)) for action in actions]
    assert verdict(manifest, found) == (level, sentence)
    (strip,) = page_of(tmp_path, manifest, found).all("p", role="status")
    assert level in strip["class"]


def test_a_data_set_without_a_usable_image_is_unusable(tmp_path: Path) -> None:
    nothing = Manifest(quarantined=(Quarantined("9" * 16, "c"), Quarantined("8" * 16, "c")))
    assert verdict(nothing, ()) == (
        "unusable",
        "Unusable: no image could be read. 2 images had to be left out.",
    )
    page = page_of(tmp_path, nothing, [])
    assert page.all("p", class_="unusable")
    assert "There are none." in page.text
    assert not page.all("img")


def test_a_run_that_refused_says_that_there_is_no_manifest(tmp_path: Path) -> None:
    page = page_of(tmp_path, is_refused=True)
    assert page.all("p", class_="unusable")
    assert "error says why. 2 images had a fault." in words(page)


def test_counts_stand_in_tiles_and_beside_the_published_ones(tmp_path: Path) -> None:
    about = {"published": {"source": "Authors, 2012", "counts": {"images": 5}}, "layout": "folder", "seed": 3}
    text = words(page_of(tmp_path, audited(tmp_path, about=about)))
    assert "Against the published counts: Authors, 2012" in text
    assert "2 missing" in text
    assert "Manifest: layout folder, seed 3." in text
    html = (tmp_path / "audit.html").read_text()
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", html))
    assert tiles == {
        "images": "3",
        "patients": "2",
        "masses": "2",
        "other lesions": "1",
        "normal images": "1",
        "left out": "2",
    }


def test_findings_are_grouped_by_code_the_worst_first(tmp_path: Path) -> None:
    page = page_of(tmp_path, meanings={"side-differs": "The sides do not agree."})
    groups = [each["id"] for each in page.all("section", class_="group")]
    assert groups == ["code-file-cut-short", "code-image-missing", "code-side-differs", "code-table-bom"]
    links = [each["href"] for each in page.all("a")]
    assert links == [f"#{group}" for group in groups]
    assert page.text.count("The sides do not agree.") == 2
    assert "First: the file ends early." in page.text


def test_a_finding_is_a_row_with_record_list_place_and_action(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert [each["data-action"] for each in page.all("tr") if "data-action" in each] == [
        "quarantined",
        "quarantined",
        "warned",
        "repaired",
    ]
    for cell in ("9999999999999999", "left out", "table.csv row 9", "the file ends early", "data set"):
        assert cell in page.text
    assert "the table says L & <the picture> R" in page.text
    assert "<the picture>" not in (tmp_path / "audit.html").read_text()


def test_odd_images_are_shown_with_their_boxes_and_words(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    (image,) = page.all("img")
    assert image["alt"] == "Image 0000000000000000: R MLO · training"
    assert image["loading"] == "lazy"
    assert int(image["width"]) / int(image["height"]) == pytest.approx(60 / 90)
    assert len(page.all("i", class_="mark")) == 2
    assert {"mass", "calcification"} == {each["class"].split()[1] for each in page.all("i", class_="mark")}


def test_an_image_that_cannot_be_decoded_has_a_placeholder_with_the_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert len(page.all("p", class_="missing")) == 2
    assert "No picture: the file is damaged or cut short." in page.text
    assert "No picture: no file was found for it." in page.text


def test_only_so_many_images_and_rows_of_a_code_are_shown_and_that_is_said(tmp_path: Path) -> None:
    records = [record(tmp_path, n) for n in range(5)]
    found = [Finding("odd", each.record_id, "x", Action.WARNED) for each in records] * 3
    page = page_of(tmp_path, Manifest(training=tuple(records)), found, max_pictures=2, max_rows=4)
    assert len(page.all("img")) == 2
    assert "2 of 5 images shown" in page.text
    assert "4 of 15 rows are shown here; all of them stand in audit.csv." in page.text
    assert len([each for each in page.all("tr") if "data-action" in each]) == 4
    assert "15 findings of 1 kind" in page.text


def test_each_image_is_read_once_whatever_the_codes(tmp_path: Path) -> None:
    each = record(tmp_path, 1)
    found = [Finding(code, each.record_id, "x", Action.WARNED) for code in "abc"]
    loaded: list[Path] = []

    def load(path: Path):
        loaded.append(path)
        raise OSError("no")

    manifest = Manifest(training=(each,))
    write_audit_page(tmp_path / "audit.html", manifest, found, load_image=load)
    assert loaded == [each.image]
    assert Page((tmp_path / "audit.html").read_text()).text.count("No picture:") == 3


def test_ten_thousand_findings_give_a_page_that_opens(tmp_path: Path) -> None:
    records = [record(tmp_path, n) for n in range(3)]
    found = [
        Finding(f"code-{n % 20}", records[n % 3].record_id, f"{n}", Action.WARNED) for n in range(10_000)
    ]
    page = page_of(tmp_path, Manifest(training=tuple(records)), found)
    assert len([each for each in page.all("tr") if "data-action" in each]) == 20 * 200
    assert (tmp_path / "audit.html").stat().st_size < 3_000_000


def test_all_is_readable_without_a_script(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    (form,) = page.all("form")
    assert "hidden" in form  # its knobs appear with the script that works them
    assert [tag for tag, attrs in page.tags if "hidden" in attrs] == ["form"]
    assert all("open" in each for each in page.all("details"))
    assert not page.all("button")


def test_headings_go_down_step_by_step_and_tables_have_headers(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in each for each in page.all("th"))


def test_both_themes_widths_and_paper_are_thought_of(tmp_path: Path) -> None:
    page_of(tmp_path)
    text = (tmp_path / "audit.html").read_text()
    assert "prefers-color-scheme: dark" in text
    assert "max-width: 40rem" in text
    assert "@media print" in text


def test_the_same_inputs_give_the_same_page_with_any_number_of_workers(tmp_path: Path) -> None:
    manifest = audited(tmp_path)
    page_of(tmp_path, manifest)
    first = (tmp_path / "audit.html").read_bytes()
    page_of(tmp_path, manifest, workers=2)
    assert (tmp_path / "audit.html").read_bytes() == first


def test_a_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page_of(tmp_path)
    before = (tmp_path / "audit.html").read_bytes()

    def full(self: Path, *args: object, **more: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="could not write"):
        page_of(tmp_path)
    assert (tmp_path / "audit.html").read_bytes() == before
