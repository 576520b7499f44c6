from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.inbreast.reader import read_inbreast
from mammo_monai.readers.reading import Reading


def number_read(root: Path) -> int:
    return len(read_inbreast(root, Reading("s")).records)


def test_the_folder_is_found_below_unless_there_are_two(inbreast: Any) -> None:
    inbreast.add()
    inbreast.write_table()
    deep = inbreast.root.parent / "download" / "INbreast Release 1.0"
    deep.parent.mkdir()
    inbreast.root.rename(deep)
    assert number_read(deep.parent.parent) == 1
    (deep.parent / "copy").mkdir()
    (deep.parent / "copy" / "INbreast.csv").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"expected one INbreast\.csv, found 2, among them"):
        number_read(deep.parent.parent)
    assert number_read(deep) == 1


def test_names_are_found_in_any_case(inbreast: Any) -> None:
    inbreast.add(1)
    inbreast.write_table()
    for old, new in {"INbreast.csv": "INBREAST.CSV", "AllDICOMs": "ALLDICOMS", "AllXML": "allxml"}.items():
        (inbreast.root / old).rename(inbreast.root / new)
    (inbreast.root / "allxml" / "1.xml").rename(inbreast.root / "allxml" / "1.XML")
    for path in (inbreast.root / "ALLDICOMS").iterdir():
        path.rename(path.with_name(path.name.lower()))
    (record,) = read_inbreast(inbreast.root, Reading("s")).records
    assert len(record.lesions) == 1


def test_the_remains_of_archives_are_passed_over(inbreast: Any) -> None:
    inbreast.add(1)
    inbreast.write_table()
    for path in list(inbreast.root.rglob("*.*")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (inbreast.root / "__MACOSX").mkdir()
    (inbreast.root / "__MACOSX" / "._INbreast.csv").write_bytes(b"")
    (inbreast.root / "AllDICOMs" / "1_notes.txt").write_text("x")
    audit = Audit()
    assert len(read_inbreast(inbreast.root, Reading("s", audit)).records) == 1
    assert audit.findings == []


def test_a_missing_table_says_where_it_was_looked_for(tmp_path: Path) -> None:
    said = r"expected INbreast\.csv or INbreast\.xls in this folder or up to 4 levels below; none found"
    with pytest.raises(ManifestError, match=said):
        number_read(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere: no such folder; expected the data set"):
        number_read(tmp_path / "nowhere")


def test_a_missing_contour_folder_does_not_make_normals(inbreast: Any) -> None:
    inbreast.add(regions=None)
    (inbreast.write_table() / "AllXML").rmdir()
    with pytest.raises(ManifestError, match=r"missing: AllXML\. Without contours all images would seem"):
        number_read(inbreast.root)


def test_renamed_images_are_refused_because_the_patients_are_lost(inbreast: Any) -> None:
    inbreast.add()
    for path in (inbreast.root / "AllDICOMs").iterdir():
        path.rename(path.with_name("image.dcm"))
    with pytest.raises(ManifestError, match="Keep the names as published"):
        number_read(inbreast.write_table())


@pytest.mark.parametrize("suffix", ["", ".DCM", ".dicom"])
def test_names_by_which_tools_save_dicom_are_known(inbreast: Any, suffix: str) -> None:
    inbreast.add()
    for path in (inbreast.root / "AllDICOMs").iterdir():
        path.rename(path.with_suffix(suffix))
    assert number_read(inbreast.write_table()) == 1


def test_a_folder_that_cannot_be_listed_is_passed_over(
    inbreast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbreast.add()
    inbreast.write_table()
    locked = inbreast.root.parent / "lost+found"
    locked.mkdir()
    listed = Path.iterdir

    def iterdir(folder: Path) -> Any:
        if folder == locked:
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert number_read(inbreast.root.parent) == 1


def test_a_copy_in_the_waste_basket_is_no_second_data_set(inbreast: Any) -> None:
    inbreast.add()
    inbreast.write_table()
    for name in ("#recycle", "@eaDir"):
        shutil.copytree(inbreast.root, inbreast.root.parent / name)
    for path in list(inbreast.root.rglob("*.dcm")):
        (path.parent / "@eaDir" / path.name).mkdir(parents=True)
    audit = Audit()
    assert len(read_inbreast(inbreast.root.parent, Reading("s", audit)).records) == 1
    assert audit.findings == []
