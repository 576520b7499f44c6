from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.transforms.prepared_file import (
    Preparation,
    prepared_frame,
    read_preparation,
    read_prepared,
    write_prepared,
)

FRAME = ImageFrame(60, 90).then(Crop(5, -3, 40, 80)).then(Flip(40)).then(Scale(40, 80, 7, 5))
ABOUT = Preparation(
    key="ab" * 32,
    recipe={"version": 1, "preset": "full_image", "size_px": 5},
    record_id="00000000000000ab",
    source_sha256="cd" * 32,
    source_stamp="ef" * 8,
    frame=FRAME,
    laterality="R",
    pixel_spacing_mm=(0.07, 0.08),
)
PIXELS = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1872


def sizes() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(pixels=sizes().flatmap(lambda size: arrays(np.uint16, size)))
def test_pixels_come_back_and_pillow_sees_the_same(
    tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    frame = ImageFrame(pixels.shape[1], pixels.shape[0])
    size = write_prepared(path, pixels, replace(ABOUT, frame=frame))
    assert size == path.stat().st_size
    read, about = read_prepared(path)
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype == np.uint16
    assert about.frame == frame
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        picture.load()
        np.testing.assert_array_equal(np.asarray(picture).astype(np.uint16), pixels)


def test_the_frame_of_a_file_is_known_where_it_is_a_prepared_image(tmp_path: Path) -> None:
    write_prepared(tmp_path / "a.png", PIXELS, ABOUT)
    assert prepared_frame(tmp_path / "a.png") == FRAME
    Image.fromarray(PIXELS).save(tmp_path / "plain.png")
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert prepared_frame(tmp_path / "plain.png") is None
    assert prepared_frame(tmp_path / "empty.dcm") is None


def test_recipe_source_and_geometry_come_back(tmp_path: Path) -> None:
    write_prepared(tmp_path / "a.png", PIXELS, ABOUT)
    assert read_preparation(tmp_path / "a.png") == ABOUT
    assert read_prepared(tmp_path / "a.png")[1].frame.size == (7, 5)


def test_nothing_is_left_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"could not write .*a\.png: No space left on device"):
        write_prepared(tmp_path / "a.png", PIXELS, ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_every_cut_of_a_file_is_noticed_from_its_ends_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_prepared(path, PIXELS, ABOUT)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ManifestError, match=r"a\.png: expected an image made by mammo-monai prepare"):
            read_preparation(path)


def test_changed_bytes_are_noticed_when_pixels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_prepared(path, PIXELS, ABOUT)
    whole = path.read_bytes()
    position = whole.index(b"IDAT") + 10
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
    read_preparation(path)
    with pytest.raises(ManifestError, match=r"a\.png: expected an image made by mammo-monai prepare, got"):
        read_prepared(path)


def test_other_pictures_and_missing_files_are_named(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "plain.png")
    with pytest.raises(ManifestError, match=r"plain\.png: .* got no prepared image"):
        read_preparation(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ManifestError, match="got no prepared image"):
        read_prepared(tmp_path / "text.png")
    with pytest.raises(ManifestError, match=r"gone\.png: no such prepared image\. Copy the whole"):
        read_prepared(tmp_path / "gone.png")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_preparation(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'["scale", 40,', b'["scale", 41,'),
        (b'"scale"', b'"twist"'),
        (b'"frame"', b'"fname"'),
        (b'{"key"', b'["key"'),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "a.png"
    write_prepared(path, PIXELS, ABOUT)
    whole = path.read_bytes()
    assert old in whole
    path.write_bytes(whole.replace(old, new))
    with pytest.raises(ManifestError, match=r"a\.png: .* got its description cannot be read"):
        read_prepared(path)


def test_pixels_of_another_size_than_the_frame_are_refused(tmp_path: Path) -> None:
    write_prepared(tmp_path / "a.png", PIXELS[:4], ABOUT)
    with pytest.raises(ManifestError, match=r"got \(7, 4\) px where its frame ends in \(7, 5\)"):
        read_prepared(tmp_path / "a.png")


def test_a_copy_that_claims_gigapixels_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_prepared(path, PIXELS, ABOUT)
    content = bytearray(path.read_bytes())
    content[16:24] = b"\x7f\xff\xff\xff\0\0\0\5"
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"a\.png: .*exceeds limit"):
        read_prepared(path)
