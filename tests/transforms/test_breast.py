from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mammo_monai.geometry import Crop, ImageFrame, flip_boxes, xyxy_to_rowcol
from mammo_monai.imaging.square_copy import SampledMask
from mammo_monai.records import ViewPosition
from mammo_monai.transforms import CropBreastd, breast
from mammo_monai.transforms.sample import boxes_of
from tests.imaging.films import oblique_film
from tests.transforms.films import (
    HEIGHT,
    INSIDE,
    TISSUE,
    WIDTH,
    assert_same_sample,
    bright_box,
    copy_of,
    film_sample,
)


@pytest.mark.parametrize("method", ["otsu", "global"])
def test_label_goes_and_the_box_follows_the_lesion(method: Any) -> None:
    sample = film_sample(has_label=True)
    before = copy_of(sample)
    cropped = CropBreastd(method, margin=0)(sample)
    height, width = cropped["image"].shape[1:]
    assert abs(width - 80) <= 3
    assert abs(height - 150) <= 3
    np.testing.assert_array_equal(bright_box(cropped["image"]), cropped["box"][0])
    assert cropped["frame"].size == (width, height)
    assert_same_sample(sample, before)


@pytest.mark.parametrize("is_right", [False, True])
def test_crop_follows_the_breast_to_either_side(is_right: bool) -> None:
    cropped = CropBreastd()(film_sample([], is_right=is_right, has_label=True))
    step = cropped["frame"].steps[0]
    assert (step.x_min == 0) is not is_right
    assert cropped["box"].shape == (0, 4)


def test_inverse_gives_the_breast_back_and_nothing_else() -> None:
    sample, transform = film_sample(has_label=True), CropBreastd()
    inverted = transform.inverse(transform(sample))
    clean = film_sample()["image"]
    # The rim of the region may differ by the method's smoothing; the inside not.
    assert float((inverted["image"] != clean).float().mean()) < 0.01
    assert torch.equal(inverted["box"], sample["box"])
    assert inverted["frame"].steps == ()


def half_outline(image: NDArray[np.float32], method: str) -> SampledMask:
    region = np.zeros(image.shape, dtype=bool)
    region[60:100, 10:40] = True
    return SampledMask(region, (1, 1), (image.shape[0], image.shape[1]))


def test_margin_grows_the_crop_up_to_the_border(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breast, "breast_outline", half_outline)
    assert CropBreastd(margin=0.1)(film_sample())["frame"].steps == (Crop(0, 40, 52, 80),)


def test_the_margin_stays_visible_and_what_lies_further_is_black(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breast, "breast_outline", half_outline)
    transform = CropBreastd(margin=0.1)  # 12 px beside the region, 20 above and below
    cleaned = transform(film_sample([]))["image"][0]
    assert cleaned[0, 25] == np.float32(TISSUE)  # 20 px above the region
    assert cleaned[0, -1] == 0  # 20 px above it and 12 beside it
    kept = CropBreastd(margin=transform.margin, remove_artifacts=False)(film_sample([]))["image"][0]
    assert kept[0, -1] == np.float32(TISSUE)


def test_crop_ignores_truth_and_cuts_boxes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breast, "breast_outline", half_outline)
    boxes = [(20.0, 70.0, 60.0, 90.0), (38.0, 80.0, 78.0, 90.0)]
    with caplog.at_level(logging.DEBUG):
        cropped = CropBreastd(margin=0)(film_sample(boxes))
    assert cropped["frame"].steps == CropBreastd(margin=0)(film_sample([]))["frame"].steps
    assert boxes_of(cropped).tolist() == [[10, 10, 30, 30]]
    assert cropped["label"].tolist() == [0]
    assert "dropped 1 of 2 boxes" in caplog.text


def test_image_without_breast_stays_whole_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    sample = film_sample([]) | {"image": torch.zeros(1, HEIGHT, WIDTH)}
    cropped = CropBreastd()(sample)
    assert cropped["frame"].steps == (Crop(0, 0, WIDTH, HEIGHT),)
    assert "record 00000000000000ab: no breast region found by method otsu" in caplog.text


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="method must be otsu or global, got 'none'"):
        CropBreastd("none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"share of width and height, in \[0, 1\), got -1"):
        CropBreastd(margin=-1)


def test_lesion_inside_the_breast_is_never_cut() -> None:
    box = boxes_of(CropBreastd()(film_sample()))[0]
    assert (box[2] - box[0], box[3] - box[1]) == (INSIDE[2] - INSIDE[0], INSIDE[3] - INSIDE[1])


MUSCLE_BOX = (5.0, 10.0, 25.0, 40.0)


def oblique_sample(view_position: Any = "MLO", *, is_right: bool = False) -> dict[str, Any]:
    """A loaded oblique view, 150 × 240, with one box over the muscle and one over the breast."""
    pixels = (oblique_film(240, 150)[0].pixels / 255).astype(np.float32)
    boxes = np.array([MUSCLE_BOX, (30.0, 120.0, 60.0, 150.0)])
    if is_right:
        pixels, boxes = pixels[:, ::-1], flip_boxes(boxes, 150)
    image = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    box = torch.from_numpy(np.ascontiguousarray(xyxy_to_rowcol(boxes), dtype=np.float32))
    sample = film_sample([]) | {"image": image, "box": box, "label": torch.zeros(2, dtype=torch.int64)}
    return sample | {"frame": ImageFrame(150, 240), "view_position": view_position}


@pytest.mark.parametrize("is_right", [False, True])
@pytest.mark.parametrize("remove_artifacts", [False, True])
@pytest.mark.parametrize("view_position", ["MLO", ViewPosition.MLO])
def test_removing_the_muscle_blackens_it_and_nothing_else(
    is_right: bool, remove_artifacts: bool, view_position: Any
) -> None:
    sample = oblique_sample(view_position, is_right=is_right)
    before = copy_of(sample)
    plain = CropBreastd(remove_artifacts=remove_artifacts)(sample)
    transform = CropBreastd(remove_artifacts=remove_artifacts, remove_pectoral=True)
    removed = transform(sample)
    assert_same_sample(sample, before)
    assert_same_sample(removed | {"image": plain["image"]}, plain)  # crop, boxes, labels: as without
    changed = removed["image"] != plain["image"]
    assert removed["image"][changed].abs().max() == 0
    drawn = torch.from_numpy(oblique_film(240, 150)[1])
    drawn = drawn.flip(-1) if is_right else drawn
    blackened = (transform.inverse(removed)["image"] == 0)[0] & (sample["image"] > 0)[0]
    assert float((blackened & drawn).sum() / drawn.sum()) > 0.95
    row, column, row_end, column_end = (int(edge) for edge in removed["box"][0])
    assert removed["image"][0, row:row_end, column:column_end].max() == 0
    row, column, row_end, column_end = (int(edge) for edge in removed["box"][1])
    assert removed["image"][0, row:row_end, column:column_end].min() > 0


@pytest.mark.parametrize("view_position", ["CC", "ML", None])
def test_the_muscle_is_only_looked_for_on_mlo_views(
    view_position: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sample = oblique_sample(view_position)
    assert_same_sample(CropBreastd(remove_pectoral=True)(sample), CropBreastd()(sample))
    is_warned = "record 00000000000000ab: its view is unknown" in caplog.text
    assert is_warned is (view_position is None)
    caplog.clear()
    CropBreastd()(oblique_sample(None))
    assert not caplog.records


def test_an_mlo_view_without_breast_or_muscle_stays_as_it_is() -> None:
    for sample in (film_sample([]), film_sample([]) | {"image": torch.zeros(1, HEIGHT, WIDTH)}):
        oblique = sample | {"view_position": "MLO"}
        assert_same_sample(CropBreastd(remove_pectoral=True)(oblique), CropBreastd()(oblique))
