from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.geometry import box_iou, rowcol_to_xyxy
from mammo_monai.transforms import CandidateRegionsd, evaluation_transforms, training_transforms
from mammo_monai.transforms.sample import boxes_of
from tests.transforms.films import HEIGHT, WIDTH, copy_of, film_sample
from tests.transforms.test_presets import written


@pytest.mark.parametrize("is_right", [False, True])
def test_a_lesion_is_among_the_candidates_in_the_frame_of_the_image(tmp_path: Path, is_right: bool) -> None:
    transform = evaluation_transforms(size_px=90, candidates=5)
    made = transform(written(tmp_path, is_right=is_right))
    assert made["candidates"].dtype == torch.float32
    assert 1 <= len(made["candidates"]) <= 5
    candidates = rowcol_to_xyxy(made["candidates"].numpy().astype(float))
    assert box_iou(boxes_of(made), candidates).max() > 0.4
    inverted = transform.inverse(made)
    assert "candidates" not in inverted
    assert tuple(inverted["image"].shape) == (1, HEIGHT, WIDTH)


@pytest.mark.parametrize("augment", ["strong", "p2"])
def test_candidates_of_training_lie_on_the_augmented_image(tmp_path: Path, augment: str) -> None:
    transform = training_transforms(size_px=90, augment=augment, enlarge=0, candidates=8)  # type: ignore[arg-type]
    transform.set_random_state(2)
    overlaps = []
    for _ in range(6):
        made = transform(written(tmp_path))
        if len(made["box"]):
            candidates = rowcol_to_xyxy(made["candidates"].numpy().astype(float))
            overlaps.append(float(box_iou(boxes_of(made), candidates).max(initial=0)))
    assert len(overlaps) >= 4
    assert np.median(overlaps) > 0.3


def test_without_the_option_there_is_no_such_key(tmp_path: Path) -> None:
    assert "candidates" not in evaluation_transforms(size_px=60)(written(tmp_path))


def test_a_black_image_has_no_candidates_and_the_sample_is_left_alone() -> None:
    sample = film_sample([]) | {"image": torch.zeros(1, HEIGHT, WIDTH)}
    before = copy_of(sample)
    assert CandidateRegionsd()(sample)["candidates"].shape == (0, 4)
    assert "candidates" not in sample
    assert torch.equal(sample["image"], before["image"])


def test_boxes_are_square_in_millimetres_of_the_original_after_a_stretch(tmp_path: Path) -> None:
    sample = written(tmp_path, has_lesion=False)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    spot = 0.3 * np.exp(-((columns - 35) ** 2 + (rows - 90) ** 2) / (2 * 8.0**2))
    grey = np.asarray(Image.open(sample["image"])) / 255
    Image.fromarray((255 * np.where(grey > 0, grey + spot, 0)).astype(np.uint8)).save(sample["image"])
    made = evaluation_transforms(preset="fixed_size", size_px=160, candidates=1)(sample)
    box = made["frame"].to_original(rowcol_to_xyxy(made["candidates"].numpy().astype(float)))[0]
    assert box[2] - box[0] == pytest.approx(box[3] - box[1], rel=1e-3)
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, [35, 90], atol=3)


def test_no_regions_are_refused() -> None:
    with pytest.raises(ValueError, match="max_regions must be at least 1, got -1"):
        evaluation_transforms(candidates=-1)
