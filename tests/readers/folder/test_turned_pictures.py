"""Pictures that viewers turn before they show them: nobody knows which way their boxes were drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    return InHouse(tmp_path / "set")


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_picture_that_viewers_turn_has_no_sure_boxes(site: InHouse, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("left", "right"):
        picture = Image.open(site.png(f"{name}.{suffix}")).convert("L")
        picture.save(site.root / f"{name}.{suffix}", **({"exif": exif} if name == "left" else {}))
    rows = "".join(f"{name}.{suffix},10,20,31,45\n" for name in ("left", "right"))
    site.text("boxes.csv", f"file_name,xmin,ymin,xmax,ymax\n{rows}")
    assert [*site.read()] == [f"right.{suffix}"]
    assert site.quarantined() == ["orientation-unclear"]


def test_damaged_exif_turns_nothing(site: InHouse) -> None:
    picture = Image.open(site.png("left.jpg")).convert("L")
    picture.save(site.root / "left.jpg", exif=b"Exif\0\0XX\0*\0")
    site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\nleft.jpg,10,20,31,45\n")
    assert boxes_of(site.lesions("left.jpg")) == [BOXES[0]]
