from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import ImageFrame
from mammo_monai.records import Laterality, ViewPosition
from mammo_monai.transforms import LoadMammogramd, load

GREY_8 = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
GREY_16 = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000


def loaded(path: Path, **more: object) -> dict[str, object]:
    result: dict[str, object] = LoadMammogramd()({"image": str(path), "record_id": "ab", **more})
    return result


@pytest.mark.parametrize(
    ("name", "array", "top"),
    [("a.png", GREY_8, 255), ("a.tiff", GREY_8, 255), ("a.PNG", GREY_16, 65535), ("a.tif", GREY_16, 65535)],
)
def test_pictures_are_divided_by_the_range_of_their_depth(
    tmp_path: Path, name: str, array: np.ndarray, top: float
) -> None:
    Image.fromarray(array).save(tmp_path / name)
    image = loaded(tmp_path / name)["image"]
    assert isinstance(image, torch.Tensor)
    assert (image.dtype, tuple(image.shape)) == (torch.float32, (1, 3, 4))
    np.testing.assert_allclose(image[0].numpy(), array / top, atol=1e-7)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_grey_saved_as_colour_gives_the_same_values(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY_8).convert(mode).save(tmp_path / "a.png")
    image = loaded(tmp_path / "a.png")["image"]
    assert isinstance(image, torch.Tensor)
    np.testing.assert_allclose(image[0].numpy(), GREY_8 / 255, atol=1e-7)


def test_boxes_come_out_in_axis_order_with_a_fresh_frame(tmp_path: Path) -> None:
    Image.fromarray(GREY_8).save(tmp_path / "a.png")
    sample = loaded(
        tmp_path / "a.png", box=np.array([[1.0, 0, 4, 2]], np.float32), label=np.array([3]), width=4, height=3
    )
    assert sample["box"].tolist() == [[0, 1, 2, 4]]  # type: ignore[attr-defined]
    assert sample["label"].dtype == torch.int64  # type: ignore[attr-defined]
    assert sample["frame"] == ImageFrame(4, 3)


def test_image_without_boxes_gets_empty_tensors(tmp_path: Path) -> None:
    Image.fromarray(GREY_8).save(tmp_path / "a.png")
    sample = loaded(tmp_path / "a.png")
    assert sample["box"].shape == (0, 4)  # type: ignore[attr-defined]
    assert sample["label"].shape == (0,)  # type: ignore[attr-defined]


def fake_reader(path: Path) -> SimpleNamespace:
    attributes = SimpleNamespace(
        laterality=Laterality.RIGHT, view_position=ViewPosition.CC, pixel_spacing_mm=(0.1, 0.2)
    )
    patterns = np.array([[0, 1], [2, 3], [0, 0]], np.uint8)
    values = np.array([100.0, 200.0, 300.0, 500.0])
    return SimpleNamespace(
        patterns=patterns, values=values, output_range=(100.0, 500.0), attributes=attributes
    )


@pytest.mark.parametrize("name", ["a.dcm", "a", "a.png"])
def test_dicom_is_scaled_by_its_output_range_whatever_its_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(load, "read_stored", fake_reader)
    (tmp_path / name).write_bytes(b"\0" * 128 + b"DICM")
    image = loaded(tmp_path / name)["image"]
    assert isinstance(image, torch.Tensor)
    # 0.25 and 0.5 are not on the grid of 16 bits: half a step of it is allowed, and rounding in float32.
    np.testing.assert_allclose(image[0].numpy(), [[0, 0.25], [0.5, 1], [0, 0]], atol=0.5 / 65535 + 1e-7)
    on_grid = image.double() * 65535
    torch.testing.assert_close(on_grid, on_grid.round(), atol=1e-2, rtol=0)


def test_stored_values_that_span_16_bits_are_taken_as_they_are() -> None:
    patterns = np.array([[0, 7, 65535]], np.uint16)
    stored = SimpleNamespace(patterns=patterns, values=np.arange(65536.0), output_range=(0.0, 65535.0))
    assert load._sixteen_bit(stored) is patterns  # type: ignore[arg-type]


def test_dicom_attributes_fill_only_what_the_sample_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "read_stored", fake_reader)
    (tmp_path / "a.dcm").write_bytes(b"")
    sample = loaded(tmp_path / "a.dcm", laterality="L", view_position=None)
    assert (sample["laterality"], sample["view_position"]) == ("L", "CC")
    assert sample["pixel_spacing_mm"] == (0.1, 0.2)


def test_unknown_attributes_stay_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(path: Path) -> SimpleNamespace:
        nothing = SimpleNamespace(laterality=None, view_position=None, pixel_spacing_mm=None)
        patterns = np.ones((2, 3), np.uint8)
        return SimpleNamespace(
            patterns=patterns, values=np.array([0.0, 1.0]), output_range=(0, 1), attributes=nothing
        )

    monkeypatch.setattr(load, "read_stored", bare)
    (tmp_path / "a.dcm").write_bytes(b"")
    assert loaded(tmp_path / "a.dcm")["laterality"] is None


def test_size_other_than_the_manifests_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY_8).save(tmp_path / "a.png")
    with pytest.raises(ManifestError, match=r"a\.png \(record ab\): the manifest says 3 × 4 px .* has 4 × 3"):
        loaded(tmp_path / "a.png", width=3, height=4)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"b\.png: no such image file"):
        loaded(tmp_path / "b.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_damaged_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.png").write_bytes(content)
    with pytest.raises(ManifestError, match=r"c\.png: cannot be read as an image"):
        loaded(tmp_path / "c.png")


def test_values_without_a_known_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY_8.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(ManifestError, match=r"f\.tif: floating-point values have no known range"):
        loaded(tmp_path / "f.tif")
    Image.fromarray(GREY_16.astype(np.int32) * 100).save(tmp_path / "i.tif")
    with pytest.raises(ManifestError, match=r"i\.tif: values from 0 to 5500000 do not fit 16 bit"):
        loaded(tmp_path / "i.tif")
