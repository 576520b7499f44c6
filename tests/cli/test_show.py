"""The verb show, run in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.cli import show
from mammo_monai.errors import ManifestError
from mammo_monai.geometry import Crop, Flip, ImageFrame
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Manifest, write_audit, write_manifest
from tests.reports.audit_scene import audited, findings
from tests.reports.html_parser import Page


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    show.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["show", *(str(word) for word in words), "--workers", "1"])
    return args.run(args)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    write_manifest(tmp_path / "manifest.json", audited(tmp_path))
    write_audit(tmp_path / "audit.csv", "manifest.json", findings())
    return tmp_path / "manifest.json"


def test_show_writes_a_page_beside_the_manifest_and_says_so(manifest: Path, capsys) -> None:
    assert call(manifest) == 1  # two images have no picture
    page = Page(manifest.with_name("show.html").read_text())
    assert len(page.all("article")) == 5
    assert capsys.readouterr().out == f"wrote {manifest.with_name('show.html')}: 5 of 5 images, pages: 1\n"


def test_show_is_clean_when_every_image_has_a_picture(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "elsewhere" / "look.html"
    assert call(manifest, "-o", output, "--split", "training", "--size", 60, "--per-page", 1) == 0
    assert sorted(path.name for path in (output.parent / "look_files").iterdir()) == [
        "index.js",
        "page-2.html",
        "pictures",
    ]


@pytest.mark.parametrize(
    ("words", "records"),
    [
        (("--only", "lesions"), [0, 3]),
        (("--only", "normals"), [1]),
        (("--findings", "side-differs"), [0]),
        (("--sort", "lesions", "--limit", 2), [0, 3]),
    ],
)
def test_show_shows_what_is_asked_for(manifest: Path, words: tuple, records: list[int]) -> None:
    assert call(manifest, *words) == 0
    page = Page(manifest.with_name("show.html").read_text())
    assert len(page.all("article")) == len(records)
    assert all(f"{number:016x}" in page.text for number in records)


def test_show_needs_no_audit(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.json", Manifest(test=audited(tmp_path).test))
    assert call(tmp_path / "m.json") == 0


def test_boxes_of_a_prepared_manifest_lie_on_its_cropped_and_mirrored_copies(tmp_path: Path) -> None:
    from mammo_monai.transforms.prepared_file import Preparation, write_prepared

    frame = ImageFrame(60, 90).then(Crop(20, 0, 40, 90)).then(Flip(40))
    about = Preparation("k" * 64, {}, "0" * 16, "s" * 64, "stamp", frame)
    write_prepared(tmp_path / "a.png", np.full((90, 40), 9, dtype=np.uint16), about)
    lesion = Lesion((30, 9, 40, 27))
    record = ImageRecord(
        tmp_path / "a.png", "0" * 16, "p", 60, 90, lesions=(lesion,), prepared={"key": about.key}
    )
    write_manifest(tmp_path / "m.json", Manifest(test=(record,)))
    assert call(tmp_path / "m.json") == 0
    page = Page((tmp_path / "show.html").read_text())
    (mark,) = page.all("i", class_="mass")
    assert mark["style"] == "left:50.00%;top:10.00%;width:25.00%;height:20.00%"
    assert "Prepared copies" in page.text


def test_nothing_to_show_leaves_nothing_behind(manifest: Path) -> None:
    with pytest.raises(ManifestError, match="no image to show for: split validation"):
        call(manifest, "--split", "validation")
    assert not manifest.with_name("show.html").exists()
    assert not manifest.with_name("show_files").exists()


def test_a_folder_stands_for_the_manifest_in_it(manifest: Path, capsys) -> None:
    assert call(manifest.parent, "--findings", "side-differs") == 0
    assert capsys.readouterr().out.startswith(f"wrote {manifest.with_name('show.html')}: 1 of 1 image")
    manifest.rename(manifest.with_name("cbis.json"))
    with pytest.raises(
        ManifestError, match=r"a folder that holds manifest\.json\. Is it one of cbis\.json\?"
    ):
        call(manifest.parent)
    with pytest.raises(ManifestError, match="no such file"):
        call(manifest.parent / "nothing")
