from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.schema import Action
from tests.readers.annotations.in_house import InHouse

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
