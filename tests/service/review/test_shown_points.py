"""Where the slider starts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.records import Detections
from mammo_monai.service.review import ReviewImage, Worklist, open_review
from mammo_monai.service.review.shown_points import first_threshold, shown_points

WEIGHTS = "a" * 64
POINT = {"sensitivity": 0.8, "low": 0.7, "high": 0.9}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What detections say of a bundle in ./bundles that has two operating points."""
    bundle = tmp_path / "bundles" / "marker"
    (bundle / "configs").mkdir(parents=True)
    (bundle / "models").mkdir()
    points = [{"fppi": fppi, "threshold": threshold, **POINT} for fppi, threshold in ((0.5, 0.4), (1.0, 0.2))]
    content = {
        "schema": "mammo-monai/operating-points/1",
        "points": points,
        "rule": {},
        "n_images": 10,
        "n_lesions": 5,
        "n_patients": 5,
        "label": 0,
        "manifest_sha256": "c" * 64,
        "weights_sha256": [WEIGHTS],
        "for_weights_sha256": WEIGHTS,
        "inference": {"inferer": "A"},
    }
    (bundle / "models" / "operating_points.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    return {"bundle": "marker", "weights_sha256": WEIGHTS, "inference": {"inferer": "A"}}


def test_detections_cut_at_a_point_start_there(model: dict[str, object]) -> None:
    points = shown_points({**model, "operating_point": {"threshold": 0.35, "fppi": 0.7}})
    assert [(each.threshold, each.fppi) for each in points] == [(0.35, 0.7)]


def test_uncut_detections_start_at_the_bundles_point_next_to_one_false_positive(
    model: dict[str, object],
) -> None:
    points = shown_points(model)
    assert [(each.threshold, each.fppi) for each in points] == [(0.4, 0.5), (0.2, 1.0)]
    assert first_threshold(points) == 0.2


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "b" * 64},
        {"inference": {"inferer": "B"}},
        {"bundle": "unheard"},
        {"bundle": "/etc/marker"},
        {"bundle": 3},
    ],
)
def test_points_of_another_model_say_nothing(model: dict[str, object], change: dict[str, object]) -> None:
    assert shown_points({**model, **change}) == ()


def test_without_a_point_the_slider_starts_below_every_mark(tmp_path: Path) -> None:
    assert first_threshold(()) is None
    detections = Detections("a", np.array([[1.0, 1, 5, 5]]), np.array([-2.0]), np.zeros(1, dtype=int))
    worklist = Worklist((ReviewImage("a", detections),), tmp_path)
    with open_review(worklist, tmp_path / "out") as session:
        assert session.threshold == -2.0
    with open_review(worklist, tmp_path / "out", threshold=0.6) as session:
        assert session.threshold == 0.6
