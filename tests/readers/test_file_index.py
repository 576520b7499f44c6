"""Files found by names; headers only where no name helps, each once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.file_index import FileIndex


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def located(index: FileIndex, path: str) -> list[str]:
    return [each.relative_to(index.root).as_posix() for each in index.locate(path)]


def test_images_and_tables_are_told_by_suffix_whatever_its_case(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.DCM", "a/2.Jpeg", "a/3.png", "a/4.dicom", "a/t.CSV", "a/readme.txt", "a/._1.dcm")
    index = FileIndex(tmp_path)
    assert [path.name for path in index.images] == ["1.DCM", "2.Jpeg", "3.png", "4.dicom"]
    assert [path.name for path in index.tables] == ["t.CSV"]


def test_the_surest_clue_wins(tmp_path: Path) -> None:
    touch(tmp_path, "case/st/se/0.dcm", "case/st/se/1.dcm", "case/st/other/0.dcm", "x/se/9.dcm")
    index = FileIndex(tmp_path)
    assert located(index, "case/st/se/0.dcm") == ["case/st/se/0.dcm"]
    assert located(index, "CASE/ST/SE/0.DCM") == ["case/st/se/0.dcm"]
    assert located(index, "case/st/se/7.dcm") == ["case/st/se/0.dcm", "case/st/se/1.dcm"]
    assert located(index, "case/st/gone/7.dcm") == [
        "case/st/other/0.dcm",
        "case/st/se/0.dcm",
        "case/st/se/1.dcm",
    ]
    assert located(index, "gone/st/other/0.dcm") == ["case/st/other/0.dcm"]
    assert located(index, "gone/st/gone/0.dcm") == []
    assert located(index, "") == []
    assert located(index, "0.dcm") == []


def test_a_listing_comes_before_headers(tmp_path: Path) -> None:
    touch(tmp_path, "x/0.dcm")
    index = FileIndex(tmp_path)
    index.list_under("1.2.3", index.images)
    index.list_under("1.2.3", index.images)
    assert located(index, "case/st/1.2.3/000000.dcm") == ["x/0.dcm"]
    assert located(index, "case/st/1.2.4/000000.dcm") == []
    assert index.headers_read == 0


def test_headers_are_read_once_by_many_threads_with_progress(tmp_path: Path, dicom_writer: Any) -> None:
    for n in range(6):
        tags = {"SeriesInstanceUID": f"1.2.{n}", "PatientID": f"Case_{n}"}
        dicom_writer(tmp_path / "x" / f"{n}.dcm", np.eye(9, 7, dtype=np.uint8), **tags)
    (tmp_path / "x" / "broken.dcm").write_bytes(b"no dicom")
    seen: list[tuple[int, int]] = []
    index = FileIndex(tmp_path, workers=3, on_progress=lambda done, total: seen.append((done, total)))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: located(index, f"gone/st/1.2.{n}/0.dcm"), range(6)))
    assert found == [[f"x/{n}.dcm"] for n in range(6)]
    assert located(index, "CASE_4/st/9.9/0.dcm") == ["x/4.dcm"]
    assert index.headers_read == 7
    assert seen == [(n, 7) for n in range(1, 8)]


def test_files_that_say_no_series_are_not_found_by_an_empty_one(tmp_path: Path, dicom_writer: Any) -> None:
    dicom_writer(tmp_path / "x" / "0.dcm", np.eye(9, 7, dtype=np.uint8), PatientID="")
    assert located(FileIndex(tmp_path), "case/st//0.dcm") == []
    assert located(FileIndex(tmp_path), "0.dcm") == []


def test_known_names_save_reading_headers(tmp_path: Path, dicom_writer: Any) -> None:
    for name in ("Case_1/a/0.dcm", "known/0.dcm", "x/0.dcm"):
        dicom_writer(tmp_path / name, np.eye(9, 7, dtype=np.uint8), SeriesInstanceUID="1.2.3")
    touch(tmp_path, "x/film.jpg")
    index = FileIndex(tmp_path)
    index.know(["KNOWN"], re.compile(r"Case_\d"))
    assert located(index, "gone/st/1.2.3/0.dcm") == ["x/0.dcm"]
    assert index.headers_read == 1


def test_below_wants_the_whole_end_of_the_folders_path(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/0.dcm", "c/b/1.dcm", "a/b/d/2.dcm")
    index = FileIndex(tmp_path)
    assert [path.name for path in index.below("A", "b")] == ["0.dcm"]
    assert [path.name for path in index.below("b")] == ["0.dcm", "1.dcm"]


def test_ten_thousand_files_are_indexed_and_found(tmp_path: Path) -> None:
    for n in range(2500):
        folder = tmp_path / f"Mass-Training_P_{n:05d}_LEFT_CC" / "st" / f"1.2.{n}"
        folder.mkdir(parents=True)
        for k in range(4):
            (folder / f"1-{k}.dcm").touch()
    index = FileIndex(tmp_path)
    found = [index.locate(f"Mass-Training_P_{n:05d}_LEFT_CC/x/1.2.{n}/000000.dcm") for n in range(2500)]
    assert {len(each) for each in found} == {4}


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "disk/case/st/se/0.dcm", "set/readme.txt")
    (tmp_path / "set" / "films").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "circle").symlink_to(tmp_path / "set", target_is_directory=True)
    index = FileIndex(tmp_path / "set")
    assert located(index, "case/st/se/0.dcm") == ["films/case/st/se/0.dcm"]
    assert len(index.images) == 1


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "film.dcm")
    with pytest.raises(ManifestError, match=r"film\.dcm: no such folder; expected the data set"):
        FileIndex(tmp_path / "film.dcm")
