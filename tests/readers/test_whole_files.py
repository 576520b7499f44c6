"""Cut files of each kind are refused; whole ones pass, whatever stands behind their end."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.image_header import read_image_header
from mammo_monai.readers.whole_files import refuse_cut_short_dicom, refuse_cut_short_picture


def picture(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (30, 23)).astype(np.uint8)
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, format=kind, **options)
    return raw.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"quality": 10})],
)
def test_every_cut_of_a_picture_is_found(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    raw, path = picture(kind, **options), tmp_path / "1.img"
    path.write_bytes(raw)
    refuse_cut_short_picture(path)
    for end in [*range(8, len(raw) - 12, 5), *range(len(raw) - 12, len(raw))]:
        path.write_bytes(raw[:end])
        with pytest.raises(InvalidRecordError) as caught:
            refuse_cut_short_picture(path)
        assert caught.value.code == "file-truncated"


def test_the_message_names_the_file_and_the_finding_does_not(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    path.write_bytes(picture("PNG")[:-1])
    with pytest.raises(
        InvalidRecordError, match=rf"{path}: .*cut short.* Copy it again.*PNG that ends early"
    ) as caught:
        refuse_cut_short_picture(path)
    assert caught.value.found == "the file is cut short: its pixels are not all there"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_bytes_behind_the_end_are_no_fault(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "1.img"
    path.write_bytes(picture(kind) + bytes(5000))
    refuse_cut_short_picture(path)


def test_the_end_mark_of_a_preview_is_not_that_of_the_picture(tmp_path: Path) -> None:
    preview, path = picture("JPEG"), tmp_path / "1.jpg"
    raw = picture("JPEG", comment=preview)
    assert raw.count(b"\xff\xd9") == 2
    path.write_bytes(raw)
    refuse_cut_short_picture(path)
    path.write_bytes(raw[:-2])
    with pytest.raises(InvalidRecordError):
        refuse_cut_short_picture(path)


def test_no_bytes_are_no_picture(tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    with pytest.raises(InvalidRecordError, match="a file of no bytes"):
        refuse_cut_short_picture(tmp_path / "1.png")


def test_padding_before_a_marker_is_left_to_the_decoder(tmp_path: Path) -> None:
    raw, path = picture("JPEG"), tmp_path / "1.jpg"
    path.write_bytes(raw[:2] + b"\xff\xff" + raw[2:])
    assert Image.open(path).size == (23, 30)
    refuse_cut_short_picture(path)


def test_other_kinds_are_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "1.gif"
    path.write_bytes(picture("GIF")[:-1])
    refuse_cut_short_picture(path)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"big_tiff": True}), ("BMP", {})],
)
@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
def test_a_cut_of_tiff_and_bmp_is_found_or_leaves_no_picture(
    tmp_path: Path, kind: str, options: dict[str, object]
) -> None:
    raw, path = picture(kind, **options), tmp_path / "1.img"
    path.write_bytes(raw)
    refuse_cut_short_picture(path)
    found = 0
    for end in [*range(8, len(raw) - 12, 5), *range(len(raw) - 12, len(raw))]:
        path.write_bytes(raw[:end])
        try:
            refuse_cut_short_picture(path)
        except InvalidRecordError as error:
            found += error.code == "file-truncated"
        else:
            # Cut within tags that stand behind the pixels: no picture at all, or all of it.
            with contextlib.suppress(InvalidRecordError):
                read_image_header(path)
                with Image.open(path) as whole, Image.open(io.BytesIO(raw)) as cut:
                    assert np.array_equal(np.asarray(whole), np.asarray(cut))
    assert found


def test_a_dicom_file_cut_short_is_a_fault_of_its_record(
    tmp_path: Path, dicom_writer: Callable[..., Path]
) -> None:
    path = dicom_writer(tmp_path / "1.dcm", np.zeros((9, 6), dtype=np.uint16))
    refuse_cut_short_dicom(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InvalidRecordError, match=rf"{path}: the file is cut short.*expected 108 bytes"
    ) as caught:
        refuse_cut_short_dicom(path)
    assert caught.value.code == "file-truncated"
    assert str(tmp_path) not in caught.value.found
