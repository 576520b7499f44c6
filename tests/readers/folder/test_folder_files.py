from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.readers.picture_checks import read_reduced
from mammo_monai.schema import Action
from mammo_monai.transforms.load import load_image
from tests.readers.annotations.in_house import InHouse
from tests.readers.test_folders import lock

ROWS = "file,xmin,ymin,xmax,ymax\na.png,10,20,31,45\n"


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    site = InHouse(tmp_path / "set")
    site.png("a.png")
    site.text("boxes.csv", ROWS)
    return site


def test_images_behind_a_link_are_found_and_a_loop_ends(site: InHouse, tmp_path: Path) -> None:
    other = InHouse(tmp_path / "disk", count=9)
    other.png("c.png")
    (site.root / "more").symlink_to(other.root)
    (site.root / "loop").symlink_to(site.root)
    assert {*site.read()} == {"a.png", "more/c.png"}


@pytest.mark.parametrize(
    ("name", "content"),
    [("IM3", b""), ("IM4", b"<html>log in</html>"), ("c.jp2", b"x"), ("d.webp", b"x"), ("e.dcm.gz", b"x")],
)
def test_a_file_that_may_be_an_image_is_never_passed_over(site: InHouse, name: str, content: bytes) -> None:
    site.text(name, content)
    assert [*site.read()] == ["a.png"]
    assert site.quarantined() == ["image-unreadable"]


def test_several_pages_are_not_one_image(site: InHouse) -> None:
    pages = [Image.new("L", (60, 90), grey) for grey in (1, 2)]
    pages[0].save(site.root / "b.tif", save_all=True, append_images=pages[1:])
    assert [*site.read()] == ["a.png"]
    assert site.quarantined() == ["image-unreadable"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names, or have no pipes")
def test_a_name_that_is_no_text_and_a_pipe_cost_themselves_alone(site: InHouse) -> None:
    (site.root / "b.png").write_bytes(site.png("b.png").read_bytes())
    os.rename(site.root / "b.png", os.fsencode(site.root) + b"/\xe9.png")  # noqa: PTH104  # bytes
    os.mkfifo(site.root / "c.png")
    assert [*site.read()] == ["a.png"]
    assert site.quarantined() == ["file-unreadable"] * 2
    assert all(each.image is None or str(each.image).isascii() for each in site.audit.quarantined)
    assert "annotation-orphan" not in site.codes(Action.WARNED)


def test_thumbnails_that_network_disks_make_are_no_normal_images(site: InHouse) -> None:
    site.png("@eaDir/a.png/SYNOPHOTO_THUMB_M.png")
    site.png("p1/#recycle/old.png")
    assert [*site.read(unlisted="normal")] == ["a.png"]
    assert site.codes() == ["patient-unknown"]


def test_images_in_a_folder_that_may_not_be_looked_into_are_not_lost_unsaid(
    site: InHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.png("closed/b.png")
    lock(monkeypatch, site.root / "closed")
    assert [*site.read()] == ["a.png"]
    (finding,) = [each for each in site.audit.findings if each.code == "folder-unreadable"]
    assert (finding.action, "closed" in finding.found) == (Action.WARNED, False)


@pytest.mark.parametrize("suffix", [".tif", ".bmp"])
def test_every_kind_of_picture_that_a_manifest_takes_can_be_loaded_and_checked(
    site: InHouse, suffix: str
) -> None:
    with Image.open(site.root / "a.png") as picture:
        picture.save(site.root / f"a{suffix}")
    (site.root / "a.png").unlink()
    site.text("boxes.csv", ROWS.replace(".png", suffix))
    (record,) = site.read().values()
    assert load_image(record.image).pixels.shape == (90, 60)
    assert read_reduced(record.image).shape == (90, 60)
