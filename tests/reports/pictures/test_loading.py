"""Images for looking at, from PNG in several depths and from DICOM."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mammo_monai.reports.pictures.loading import load_display_image

RAMP = np.arange(12).reshape(3, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_grey_values_are_stretched_between_darkest_and_brightest(tmp_path: Path, dtype) -> None:
    path = tmp_path / "image.tif"
    Image.fromarray((RAMP * 20 + 10).astype(dtype)).save(path)
    pixels = load_display_image(path)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, RAMP / 11, atol=1e-6)


def test_a_colour_image_becomes_grey(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), "white").save(tmp_path / "image.png")
    assert load_display_image(tmp_path / "image.png").shape == (3, 4)


def test_an_even_image_is_black_and_not_nan(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 7).save(tmp_path / "image.png")
    assert not load_display_image(tmp_path / "image.png").any()


@pytest.mark.parametrize(("name", "content"), [("a.dcm", b""), ("a", b"\0" * 128 + b"DICM")])
def test_dicom_is_known_by_suffix_or_preamble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    reader = SimpleNamespace(read_mammogram=lambda path, **_: SimpleNamespace(pixels=RAMP.astype(np.float32)))
    monkeypatch.setitem(sys.modules, "mammo_monai.dicom.pixels", reader)
    monkeypatch.setitem(sys.modules, "mammo_monai.dicom", SimpleNamespace(pixels=reader))
    (tmp_path / name).write_bytes(content)
    np.testing.assert_allclose(load_display_image(tmp_path / name), RAMP / 11, atol=1e-6)


def test_what_is_no_image_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(OSError, match="cannot identify image file"):
        load_display_image(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(OSError, match="expected an image file, found a folder, pipe or device"):
        load_display_image(tmp_path / "a.png")
