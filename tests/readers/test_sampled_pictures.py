"""A few films of a set that is read by its headers are held against their boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.sampled_pictures import LOOKED_AT, note_sampled_pictures
from mammo_monai.records import ImageRecord, Lesion
from tests.readers.conftest import breast_film

SIZE = (240, 320)
ON_THE_LEFT, ON_THE_RIGHT = (60.0, 140.0, 95.0, 180.0), (205.0, 20.0, 232.0, 44.0)


def film(folder: Path, number: int, box: tuple[float, float, float, float] | None) -> ImageRecord:
    path = folder / f"{number}.png"
    if not path.exists():
        grey = (breast_film(*SIZE, "LEFT", number) >> 8).astype(np.uint8)
        Image.fromarray(grey).save(path)
    lesions = () if box is None else (Lesion(box, "1"),)
    return ImageRecord(path, f"r{number}", f"p{number}", *SIZE, lesions=lesions)


def found(records: list[ImageRecord]) -> list[str]:
    audit = Audit()
    note_sampled_pictures(records, audit)
    return [f"{each.code}: {each.found}" for each in audit.findings]


def test_boxes_of_mirrored_images_are_noted_once(tmp_path: Path) -> None:
    boxes = [ON_THE_RIGHT, ON_THE_RIGHT, ON_THE_LEFT, None]
    (said,) = found([film(tmp_path, number, box) for number, box in enumerate(boxes)])
    assert said.startswith("lesion-outside-breast: on 2 of 3 films that were looked at")


def test_inverted_pictures_are_noted_once(tmp_path: Path) -> None:
    for number in range(3):
        grey = (breast_film(*SIZE, "LEFT", number) >> 8).astype(np.uint8)
        Image.fromarray(grey if number else 255 - grey).save(tmp_path / f"{number}.png")
    Image.fromarray(255 - grey).save(tmp_path / "1.png")
    (said,) = found([film(tmp_path, number, ON_THE_LEFT) for number in range(3)])
    assert said.startswith("picture-blank: on 2 of 3 films that were looked at no breast can be seen")


def test_true_boxes_and_one_wrong_film_are_no_finding(tmp_path: Path) -> None:
    boxes = [ON_THE_LEFT, ON_THE_LEFT, ON_THE_RIGHT]
    assert found([film(tmp_path, number, box) for number, box in enumerate(boxes)]) == []
    assert found([film(tmp_path, 0, None)]) == []
    assert found([]) == []


def test_one_blank_film_says_nothing_and_films_that_cannot_be_decoded_are_counted(tmp_path: Path) -> None:
    Image.fromarray(np.zeros(SIZE[::-1], np.uint8)).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "2.dcm").write_bytes(b"no DICOM")
    records = [film(tmp_path, number, ON_THE_RIGHT) for number in (0, 1)]
    gone = ImageRecord(tmp_path / "gone.dcm", "r8", "p8", *SIZE, lesions=(Lesion(ON_THE_RIGHT, "1"),))
    (said,) = found([*records, gone, ImageRecord(tmp_path / "2.dcm", "r2", "p2", *SIZE, gone.lesions)])
    assert said.startswith("image-unreadable: 3 of 4 films")


def test_of_a_large_set_few_films_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path, 0, None)
    opened: list[Path] = []

    def fail(path: Path) -> None:
        opened.append(path)
        raise OSError("gone")

    monkeypatch.setattr("mammo_monai.readers.sampled_pictures.read_reduced", fail)
    lesions = (Lesion(ON_THE_LEFT, "1"),)
    records = [
        ImageRecord(tmp_path / f"{number}.png", f"r{number}", "p", *SIZE, lesions) for number in range(900)
    ]
    (said,) = found(records)
    assert said.startswith(f"image-unreadable: {LOOKED_AT} of {LOOKED_AT} films")
    assert len(opened) == LOOKED_AT == len(set(opened))
