from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.data.files import image_files
from mammo_monai.errors import ManifestError
from tests.dicom_factory import write_mammogram

DICOM = b"\0" * 128 + b"DICM"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    (root / "b").mkdir(parents=True)
    for name in ("b/2.DCM", "1.png", "b/3.jpeg", "notes.txt", ".hidden.png", "b/README"):
        (root / name).write_bytes(b"")
    (root / "b" / "IM0001").write_bytes(DICOM)
    return root


def names(found: list[tuple[Path, str]]) -> list[str]:
    return [identity for _, identity in found]


def test_folder_gives_its_images_sorted_at_any_depth(folder: Path) -> None:
    found = image_files([folder])
    assert names(found) == ["1.png", "b/2.DCM", "b/3.jpeg", "b/IM0001"]
    assert all(path.is_absolute() for path, _ in found)


def test_image_named_twice_counts_once(folder: Path) -> None:
    assert names(image_files([folder / "1.png", folder])) == ["1.png", "b/2.DCM", "b/3.jpeg", "b/IM0001"]


def test_same_name_in_two_folders_keeps_two_identities(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "1.png").write_bytes(b"")
    assert len(set(names(image_files([folder / "1.png", other / "1.png"])))) == 2


def test_file_of_another_kind_is_refused_with_what_is_read(folder: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"notes\.txt: files of kind \.txt cannot be read; .*\.dcm, \.dicom, \.png"
    ):
        image_files([folder / "notes.txt"])
    with pytest.raises(ManifestError, match=r"files of kind \(no suffix\)"):
        image_files([folder / "b" / "README"])


def test_folder_without_images_says_how_many_files_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ManifestError, match="no image among 1 file"):
        image_files([tmp_path])


def test_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="gone: no such file or folder"):
        image_files([tmp_path / "gone"])


def test_dicom_named_by_its_uid_is_an_image(tmp_path: Path) -> None:
    film = write_mammogram(tmp_path / "1.2.840.10008.55")
    (tmp_path / "notes.55").write_text("no image")
    assert [path for path, _ in image_files([tmp_path])] == [film]
    assert [path for path, _ in image_files([film])] == [film]


def test_folders_behind_links_are_searched_and_what_systems_leave_is_not(folder: Path) -> None:
    disk = folder.parent / "disk"
    disk.mkdir()
    (disk / "4.png").write_bytes(b"")
    (folder / "a link").symlink_to(disk)
    (folder / "b" / "circle").symlink_to(folder)
    for name in ("@eaDir", ".thumbnails"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(b"")
    assert names(image_files([folder])) == ["1.png", "a link/4.png", "b/2.DCM", "b/3.jpeg", "b/IM0001"]
