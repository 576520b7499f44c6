"""Thumbnails in a folder are made once, again when the image changes, and never under a name from outside."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.pictures.thumbnail_files import ThumbnailRequest, stored_thumbnail
from tests.reports.audit_scene import HEIGHT, WIDTH, write_picture


def request_for(path: Path | None, folder: Path, **more) -> ThumbnailRequest:
    return ThumbnailRequest(**{"path": path, "record_id": "a" * 16, "folder": folder, "size_px": 80, **more})


def never(path: Path):
    raise RuntimeError("decoded again")


def test_a_thumbnail_is_decoded_once(tmp_path: Path) -> None:
    request = request_for(write_picture(tmp_path / "a.png", size=(200, 300)), tmp_path / "made")
    first = stored_thumbnail(request)
    again = stored_thumbnail(replace(request, load_image=never))
    assert first == again
    assert first.thumbnail is not None
    assert (first.thumbnail.image_width, first.thumbnail.image_height) == (200, 300)
    assert len(first.thumbnail.outline) > 8
    with Image.open(tmp_path / "made" / first.name) as picture:
        picture.load()
        assert picture.size == (53, 80)
    assert [path.name for path in (tmp_path / "made").iterdir()] == [first.name]


@pytest.mark.parametrize("change", ["touched", "larger", "damaged"])
def test_it_is_made_again_when_file_or_size_changed_or_it_is_damaged(tmp_path: Path, change: str) -> None:
    path = write_picture(tmp_path / "a.png")
    request = request_for(path, tmp_path / "made")
    first = stored_thumbnail(request)
    if change == "touched":
        os.utime(path, ns=(1, 1))
    elif change == "larger":
        request = replace(request, size_px=81)
    else:
        (tmp_path / "made" / first.name).write_bytes(b"half")
    loaded = []

    def load(path: Path):
        loaded.append(path)
        return load_display_image(path)

    again = stored_thumbnail(replace(request, load_image=load))
    assert loaded == [path]
    assert (again.name == first.name) == (change == "damaged")


def test_what_cannot_be_shown_leaves_no_file_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    request = request_for(path, tmp_path / "made")
    assert stored_thumbnail(request).failure == "the file is not there"
    assert not (tmp_path / "made").exists()
    write_picture(path)
    assert stored_thumbnail(request).thumbnail


def test_an_image_without_a_file_says_so(tmp_path: Path) -> None:
    assert stored_thumbnail(request_for(None, tmp_path)).failure == "no file was found for it"


@pytest.mark.parametrize("record_id", ["../../etc/x", "a/b", "", "C:\\x", "n" * 300, "Ä"])
def test_a_record_id_never_leads_out_of_the_folder(tmp_path: Path, record_id: str) -> None:
    folder = tmp_path / "made"
    stored = stored_thumbnail(request_for(write_picture(tmp_path / "a.png"), folder, record_id=record_id))
    assert [path.name for path in folder.iterdir()] == [stored.name]
    assert stored.name.replace("-", "").removesuffix(".jpg").isalnum()


def test_two_files_under_one_record_id_are_two_thumbnails(tmp_path: Path) -> None:
    names = {
        stored_thumbnail(request_for(write_picture(tmp_path / name), tmp_path / "made")).name
        for name in ("a.png", "b.png")
    }
    assert len(names) == 2


def test_an_outline_too_long_for_a_jpeg_comment_is_left_out(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mammo_monai.reports.pictures.thumbnail_files._LONGEST_COMMENT", 60)
    request = request_for(write_picture(tmp_path / "a.png"), tmp_path / "made")
    assert stored_thumbnail(request).thumbnail.outline
    kept = stored_thumbnail(replace(request, load_image=never)).thumbnail
    assert (kept.outline, kept.image_width, kept.image_height) == ((), WIDTH, HEIGHT)
