from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.readers.vindr.files import find_image_files
from mammo_monai.readers.vindr.reader import read_vindr
from mammo_monai.records import record_id_of
from mammo_monai.schema import Action


def read(root: Path) -> tuple[DataSet, Audit]:
    audit = Audit()
    return read_vindr(root, Reading("s", audit)), audit


def codes(audit: Audit) -> list[str]:
    return [finding.code for finding in audit.findings]


def write_picture(path: Path, size: tuple[int, int] = (60, 90)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0])).save(path)
    return path


def test_images_on_another_disk_are_found_behind_a_link_and_a_loop_ends(vindr: Any) -> None:
    vindr.add()
    vindr.add_image()
    elsewhere = vindr.root.parent / "disk"
    (vindr.root / "images").rename(elsewhere)
    (vindr.root / "images").symlink_to(elsewhere)
    (elsewhere / "s1" / "up").symlink_to(elsewhere)
    found, audit = read(vindr.write_tables())
    assert len(found.records) == 1
    assert audit.findings == []


class TestPictures:
    @pytest.mark.parametrize("place", ["images_png/s1/a1.png", "pictures/a1.PNG", "a1.png"])
    def test_copies_are_accepted_with_one_warning(self, vindr: Any, place: str) -> None:
        vindr.add()
        write_picture(vindr.root / place)
        found, audit = read(vindr.write_tables())
        (record,) = found.records
        assert (record.width, record.height, record.pixel_spacing_mm) == (60, 90, None)
        assert record.record_id == record_id_of("s1/a1", "s")
        assert [(each.code, each.record_id, each.action) for each in audit.findings] == [
            ("lossy-copy", "", Action.WARNED)
        ]

    def test_dicom_is_preferred(self, vindr: Any) -> None:
        vindr.add()
        write_picture(vindr.root / "images" / "s1" / "a1.png")
        path = vindr.add_image()
        found, audit = read(vindr.write_tables())
        assert found.records[0].image == path
        assert audit.findings == []

    def test_pictures_of_nothing_in_the_table_are_passed_over(self, vindr: Any) -> None:
        vindr.add()
        vindr.add_image()
        write_picture(vindr.root / "docs" / "logo.png")
        found, audit = read(vindr.write_tables())
        assert len(found.records) == 1
        assert audit.findings == []

    @pytest.mark.parametrize(
        ("size", "how"),
        [
            ((90, 60), "width and height are swapped"),
            ((30, 45), "scaled by 0.5"),
            ((60, 60), "of another shape"),
        ],
    )
    def test_another_size_is_refused_with_how_it_came(self, vindr: Any, size: Any, how: str) -> None:
        vindr.add()
        write_picture(vindr.root / "a1.png", size)
        found, audit = read(vindr.write_tables())
        assert found.records == ()
        assert codes(audit) == ["size-differs"]
        assert (
            f"the table says 60 × 90 px, the file has {size[0]} × {size[1]} px: " in audit.findings[0].found
        )
        assert how in audit.findings[0].found

    def test_a_picture_cut_short(self, vindr: Any) -> None:
        vindr.add()
        path = write_picture(vindr.root / "a1.png")
        path.write_bytes(path.read_bytes()[:-20])
        _, audit = read(vindr.write_tables())
        assert codes(audit) == ["file-truncated"]


def test_thumbnails_beside_an_image_are_no_second_image(tmp_path: Path) -> None:
    for name in ("images/s1/a1.png", "images/s1/@eaDir/a1.png/a1.jpg", "#recycle/s1/a1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_image_files(tmp_path).of("s1", "a1") == (tmp_path / "images/s1/a1.png",)


def test_pictures_named_like_images_that_no_table_lists_are_counted(vindr: Any) -> None:
    names = [f"{number:032x}" for number in range(3)]
    for name in (*names, "overview", "fig1"):
        path = vindr.root / "images" / "s1" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.arange(5400, dtype=np.uint8).reshape(90, 60)).save(path)
    vindr.add(names[0])
    _, audit = read(vindr.write_tables())
    found = [each.found for each in audit.findings if each.code == "row-missing"]
    assert [each[:10] for each in found] == ["2 pictures"]
