from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError
from mammo_monai.imaging.image_statistics import image_statistics
from mammo_monai.imaging.typicality import fit_statistics, judge
from mammo_monai.schema.training_statistics import (
    TrainingStatistics,
    read_training_statistics,
    write_training_statistics,
)

N = 120
ROWS, COLUMNS = 96, 48


def breast(seed: int) -> NDArray[np.float32]:
    """Half an ellipse at the left, fading to its rim, with grain; no two alike."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS] / np.array([ROWS, COLUMNS]).reshape(2, 1, 1)
    centre, width, height = draw.normal(0.5, 0.03), draw.uniform(0.8, 0.97), draw.uniform(0.4, 0.5)
    depth = 1 - (x / width) ** 2 - ((y - centre) / height) ** 2
    grain = draw.normal(0, 0.03, x.shape)
    level = draw.uniform(0.5, 0.9)
    return (
        np.where(depth > 0, 0.05 + level * np.sqrt(np.maximum(depth, 0)) + grain, 0)
        .clip(0, 1)
        .astype(np.float32)
    )


def statistics_of(image: NDArray[np.float32]) -> dict[str, float]:
    return image_statistics(image, crop_shares=(0.7, 0.9))


@pytest.fixture(scope="module")
def training() -> TrainingStatistics:
    rows = [statistics_of(breast(seed)) for seed in range(N)]
    return fit_statistics(rows, [str(seed // 2) for seed in range(N)], false_alarm_rate=0.05)


def test_new_images_of_the_same_kind_raise_about_the_stated_share_of_alarms(
    training: TrainingStatistics,
) -> None:
    alarms = [judge(training, statistics_of(breast(1000 + seed))).is_untypical for seed in range(100)]
    assert np.mean(alarms) < 0.15  # 5 % are promised; the limit of 120 images and 100 draws scatter by 3 %


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda image: 1 - image, "grey_"),
        (lambda image: image[:, ::-1], "breast_"),
        (np.zeros_like, ""),
        (lambda image: np.random.default_rng(0).random(image.shape, dtype=np.float32), "breast_"),
        (lambda image: np.where(image > 0.3, np.float32(1), image), "grey_"),
        (lambda image: np.rot90(image, axes=(1, 0)), ""),
    ],
    ids=["inverted", "other side", "blank", "noise", "clipped", "turned"],
)
def test_a_spoilt_image_is_untypical_and_what_stands_out_is_named(
    training: TrainingStatistics, spoil: object, told: str
) -> None:
    judged = judge(training, statistics_of(np.ascontiguousarray(spoil(breast(5)))))  # type: ignore[operator]
    assert judged.is_untypical
    assert judged.typicality == pytest.approx(1 / (N + 1))
    assert any(text.startswith(told) and "(training " in text for text in judged.outside)


def test_typicality_falls_as_an_image_moves_away(training: TrainingStatistics) -> None:
    usual = statistics_of(breast(3))
    far = [judge(training, {**usual, "grey_50": usual["grey_50"] + off}).typicality for off in (0, 0.3, 3)]
    assert far == sorted(far, reverse=True)
    assert far[0] > far[-1]


def test_a_missing_statistic_counts_as_usual(training: TrainingStatistics) -> None:
    usual = statistics_of(breast(3))
    without = {name: value for name, value in usual.items() if name != "crop_width"}
    assert judge(training, without) == judge(training, {**usual, "crop_width": 0.7})


def test_statistics_hardly_depend_on_the_size_of_the_image() -> None:
    image = breast(7)
    twice = np.kron(image, np.ones((2, 2), dtype=np.float32))
    small, large = statistics_of(np.kron(twice, np.ones((2, 2), dtype=np.float32))), statistics_of(twice)
    for name in large:
        assert small[name] == pytest.approx(large[name], abs=0.02), name


def test_the_area_stands_there_only_with_a_spacing() -> None:
    image = breast(7)
    assert "breast_area_mm2" not in statistics_of(image)
    found = image_statistics(image, crop_shares=(1.0, 1.0), area_mm2=20000.0)
    assert found["breast_area_mm2"] == pytest.approx(20000 * found["breast_share"])


def test_the_file_reads_back_and_judges_the_same(tmp_path: Path, training: TrainingStatistics) -> None:
    path = tmp_path / "training_statistics.json"
    write_training_statistics(path, training)
    found = read_training_statistics(path)
    assert found == training
    assert judge(found, statistics_of(breast(9))) == judge(training, statistics_of(breast(9)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"median": [1.0]}, "expected one median"),
        ({"names": []}, "expected one median"),
        ({"names": [5]}, "names must be a list of texts"),
        ({"scale_below": [0.0]}, "expected one median"),
        ({"limit": None}, "limit must be"),
        ({"n_images": 0}, "n_images must be a count of at least 1, got 0"),
        ({"schema": "other"}, "expected schema"),
    ],
)
def test_a_file_that_breaks_its_format_is_refused(
    tmp_path: Path, training: TrainingStatistics, change: Mapping[str, object], message: str
) -> None:
    path = tmp_path / "training_statistics.json"
    write_training_statistics(path, training)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        read_training_statistics(path)


def test_too_few_images_make_no_statistics() -> None:
    rows = [statistics_of(breast(0))] * 3
    with pytest.raises(ValueError, match=r"at least 100 images .*, got 3 of 1 patient\. Name a larger"):
        fit_statistics(rows, ["a"] * 3)
    with pytest.raises(ValueError, match="the patient of each image, got 3 images and 2 entries"):
        fit_statistics(rows, ["a"] * 2)
