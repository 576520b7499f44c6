from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, SIZE, InHouse, boxes_of, drawn


def write_mask(path: Path, mask: Any = None, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(drawn() if mask is None else mask)
    (picture.convert(mode) if mode else picture).save(path)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "left_mask.png",
        "masks/left.png",
        "masks/left_mask.tif",
        "seg/left.bmp",
        "left-Seg.png",
        "left.gt.png",
        "left_labels.png",
        "mask_left.png",
        "masks/Seg-left.tif",
    ],
)
def test_boxes_come_back_from_masks_by_many_names(site: InHouse, name: str) -> None:
    site.png("left.png")
    write_mask(site.root / name)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]
    assert "patient-unknown" in site.codes()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "LA"])
def test_every_kind_of_picture_gives_the_same_boxes(site: InHouse, mode: str) -> None:
    site.png("left.png")
    write_mask(site.root / "masks" / "left.png", mode=mode)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_sixteen_bits_and_ones_are_flags_too(site: InHouse) -> None:
    for name, mask in (("a", drawn().astype(np.uint16) * 257), ("b", drawn() // 255)):
        site.png(f"{name}.png")
        write_mask(site.root / "masks" / f"{name}.png", mask)
    records = site.read()
    assert all(boxes_of(record.lesions) == [*BOXES] for record in records.values())
    assert "mask-values" not in site.codes()


def test_transparent_pixels_mark_nothing(site: InHouse) -> None:
    site.png("left.png")
    colours = np.full((*SIZE[::-1], 4), 255, dtype=np.uint8)
    colours[..., 3] = drawn()
    write_mask(site.root / "left_mask.png", colours)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_colours_are_values(site: InHouse) -> None:
    site.png("left.png")
    colours = np.zeros((*SIZE[::-1], 3), dtype=np.uint8)
    colours[20:45, 10:20] = (255, 0, 0)
    colours[20:45, 20:31] = (0, 0, 255)
    write_mask(site.root / "left_mask.png", colours)
    assert sorted(boxes_of(site.lesions("left.png"))) == [(10, 20, 20, 45), (20, 20, 31, 45)]


def test_several_masks_of_an_image_are_several_lesions(site: InHouse) -> None:
    site.png("left.png")
    for number, box in enumerate(BOXES, start=1):
        write_mask(site.root / f"left_mask_{number}.png", drawn([box]))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_parts_that_touch_at_a_corner_are_one(site: InHouse) -> None:
    site.png("left.png")
    write_mask(site.root / "left_mask.png", drawn([(10, 10, 20, 20), (20, 20, 30, 40)]))
    assert boxes_of(site.lesions("left.png")) == [(10, 10, 30, 40)]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_smoothed_edges_are_cut_at_half(site: InHouse, suffix: str) -> None:
    site.png("left.png")
    picture = Image.fromarray(drawn([(10, 20, 40, 60)]))
    path = site.root / "masks" / f"left.{suffix}"
    path.parent.mkdir()
    picture.filter(ImageFilter.GaussianBlur(1.5)).save(path)
    (box,) = boxes_of(site.lesions("left.png"))
    assert box == pytest.approx((10, 20, 40, 60), abs=1)
    assert "mask-soft" in site.codes(Action.REPAIRED)


def test_the_area_of_a_mask_is_its_pixels(site: InHouse) -> None:
    site.dicom("left.dcm", ImagerPixelSpacing=[0.5, 0.25])
    mask = drawn([(10, 20, 30, 40)])
    mask[20:25, 10:30] = 0
    write_mask(site.root / "left_mask.png", mask)
    (lesion,) = site.lesions("left.dcm")
    assert lesion.area_mm2 == pytest.approx(20 * 15 * 0.125)


def test_strokes_beside_a_drawn_lesion_are_left_out(site: InHouse) -> None:
    site.png("left.png")
    write_mask(site.root / "left_mask.png", drawn([(10, 20, 40, 60), (50, 80, 52, 81)]))
    assert boxes_of(site.lesions("left.png")) == [(10, 20, 40, 60)]
    assert "mask-specks" in site.codes(Action.WARNED)


def test_small_lesions_alone_are_kept(site: InHouse) -> None:
    site.png("left.png")
    write_mask(site.root / "left_mask.png", drawn([(10, 20, 12, 22), (50, 80, 52, 81)]))
    assert len(site.lesions("left.png")) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "mask-unreadable"),
        (b"no picture", "mask-unreadable"),
        ("half", "mask-unreadable"),
        (drawn([], size=(90, 60)), "mask-aspect"),
        (drawn([], size=(60, 60)), "mask-aspect"),
        (np.random.default_rng(1).integers(0, 255, (90, 60), dtype=np.uint8), "mask-values"),
    ],
)
def test_a_mask_that_is_none_quarantines_its_image_alone(site: InHouse, content: Any, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    path = write_mask(site.root / "masks" / "left.png", content if isinstance(content, np.ndarray) else None)
    write_mask(site.root / "masks" / "right.png")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_an_image_without_a_mask_is_normal_and_counted(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    write_mask(site.root / "left_mask.png")
    records = site.read()
    assert records["right.png"].is_normal
    (finding,) = [each for each in site.audit.findings if each.code == "images-unlisted"]
    assert finding.found.startswith("1 of 2 images have no annotation: they count as normal")
    assert [*site.read(unlisted="leave-out")] == ["left.png"]
    assert "images-unlisted" not in site.codes()
    assert len(site.read(unlisted="normal")) == 2
    assert "images-unlisted" not in site.codes()


def test_a_palette_is_read_by_its_colours_where_its_first_is_marked(site: InHouse) -> None:
    site.png("left.png")
    picture = Image.fromarray((drawn(BOXES) == 0).astype(np.uint8), mode="P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(site.root / "left_mask.png")
    assert boxes_of(site.lesions("left.png")) == [*BOXES]
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(site.root / "left_mask.png", transparency=1)
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def test_black_strokes_on_a_clear_layer_mark_lesions(site: InHouse) -> None:
    site.png("left.png")
    black = np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
    Image.fromarray(np.dstack([black, black, black, drawn(BOXES)])).save(site.root / "left_mask.png")
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


def masks_that_would_lose_or_invent(path: Path, kind: str) -> None:
    mask = drawn(BOXES)
    if kind == "inverted":
        Image.fromarray(255 - mask).save(path)
    elif kind == "wholly clear":
        Image.fromarray(np.dstack([mask, mask, mask, np.zeros_like(mask)])).save(path)
    elif kind == "probabilities":
        Image.fromarray((mask / 255 * 0.7).astype(np.float32)).save(path)
    else:
        Image.fromarray(mask).save(path, save_all=True, append_images=[Image.fromarray(mask)])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("inverted", "mask-full"),
        ("wholly clear", "mask-empty"),
        ("probabilities", "mask-values"),
        ("two pages", "mask-not-flat"),
    ],
)
def test_a_mask_that_would_lose_or_invent_lesions_quarantines(site: InHouse, kind: str, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    suffix = "png" if kind == "wholly clear" else "tif"
    masks_that_would_lose_or_invent(site.root / f"left_mask.{suffix}", kind)
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_an_inverted_mask_with_a_black_frame_is_full(site: InHouse) -> None:
    site.png("a.png")
    mask = 255 - drawn(BOXES[:1])
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = 0, 0, 0, 0
    Image.fromarray(mask).save(site.root / "a_mask.png")
    assert site.read() == {}
    assert site.quarantined() == ["mask-full"]


def test_a_mask_of_noise_is_said(site: InHouse) -> None:
    site.png("a.png")
    mask = np.zeros((90, 60), dtype=np.uint8)
    mask[::9, ::9] = 255
    Image.fromarray(mask).save(site.root / "a_mask.png")
    assert len(site.lesions("a.png")) == 70
    assert "mask-parts" in site.codes(Action.WARNED)
    Image.fromarray(mask * (np.arange(90) < 18)[:, None].astype(np.uint8)).save(site.root / "a_mask.png")
    assert len(site.lesions("a.png")) == 14
    assert "mask-parts" not in site.codes()


@pytest.mark.parametrize("values", [(1, 1), (1, 2), (80, 160), (128, 255)])
def test_a_jpeg_of_several_values_is_no_label_map(site: InHouse, values: tuple[int, int]) -> None:
    site.png("left.png")
    Image.fromarray(drawn(values=values)).save(site.root / "left_mask.jpg", quality=90)
    assert site.read() == {}
    assert site.quarantined() == ["mask-values"]
