"""What downloads leave in the place of an image is named, with what to do."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import read_image_header
from mammo_monai.readers.reading import Reading
from mammo_monai.readers.stand_ins import refuse_stand_in
from mammo_monai.readers.vindr.reader import read_vindr
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import InHouse

CONTENTS = [
    (b"", "it holds no byte"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
    (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page stands in its place"),
    (b"<HTML><body>404</body></HTML>", "may ask for a login"),
    (gzip.compress(b"film", mtime=0), "it is packed with gzip"),
    (b"PK\x03\x04\x14\x00", "it is a zip archive"),
]


@pytest.mark.parametrize(("name", "code"), [("a.dcm", "dicom-unusable"), ("a.png", "image-unreadable")])
@pytest.mark.parametrize(("content", "words"), CONTENTS)
def test_what_stands_there_is_named(tmp_path: Path, name: str, code: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidRecordError, match=words) as caught:
        read_image_header(path)
    assert caught.value.code == code
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "name", ["b.dcm.part", "b.PNG.crdownload", "b.tif.partial", "b.jpg.filepart", "b.dcm2874652910"]
)
def test_a_download_that_did_not_finish_is_a_row(tmp_path: Path, name: str) -> None:
    site = InHouse(tmp_path / "set")
    site.png("a.png")
    site.text(name, b"half")
    site.text("notes.txt.part", b"half")
    site.text("boxes.csv", "file,xmin,ymin,xmax,ymax,patient\na.png,10,20,31,45,1\n")
    assert [*site.read()] == ["a.png"]
    assert site.codes(Action.QUARANTINED) == ["file-truncated"]


@pytest.mark.parametrize("archive", ["films.zip", "films.tar.gz", "films.7Z"])
def test_an_archive_in_place_of_the_images_is_to_be_unpacked(tmp_path: Path, archive: str) -> None:
    site = InHouse(tmp_path / "set")
    site.text(archive, b"PK")
    site.text("boxes.csv", "file,xmin,ymin,xmax,ymax\na.png,10,20,31,45\n")
    with pytest.raises(ManifestError, match=f"found none\\. Unpack {archive} first"):
        site.read()


def test_a_page_in_place_of_a_film_is_told_by_a_published_set(vindr: Any) -> None:
    vindr.add("a1")
    vindr.add("a2")
    vindr.add_image("a2")
    vindr.add_image("a1").write_bytes(b"<html>login</html>")
    audit = Audit()
    assert len(read_vindr(vindr.write_tables(), Reading("s", audit)).records) == 1
    assert "a web page stands in its place" in audit.findings[0].found


def test_a_pipe_is_not_opened_to_see_what_it_holds(tmp_path: Path) -> None:
    """To open one for reading waits for a writer that never comes: a manifest of a whole data set hung."""
    pipe = tmp_path / "a.dcm"
    os.mkfifo(pipe)
    refuse_stand_in(pipe, "dicom-unusable", "not usable")


def test_a_file_that_cannot_be_opened_keeps_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    refuse_stand_in(path, "dicom-unusable", "not usable")
