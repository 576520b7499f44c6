"""The inferer of whole images: class 1's probability, its mean over mirrors, no boxes; and on to the file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mammo_monai.inference import Predictor, detections_in_original, whole_image_inferer
from mammo_monai.inference.journal import Journal, journal_path
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections
from tests.inference.fakes import image_with, sample_of


class CornerClassifier(nn.Module):
    """Class 1's probability is the brightness of the upper left pixel."""

    def __init__(self, n_classes: int = 2) -> None:
        super().__init__()
        self.network: nn.Module = nn.Conv2d(1, 1, 1)
        self.n_classes = n_classes
        self.calls: list[tuple[int, bool, bool]] = []

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        if self.training:
            return {"classification": torch.zeros(())}
        self.calls.append((len(input_images), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled()))
        corners = [each[0, 0, 0] for each in input_images]
        return [
            {"probabilities": torch.stack([1 - each, *[each] * (self.n_classes - 1)])} for each in corners
        ]


def corners_image() -> Tensor:
    """30 × 20 px (width × height) with corners 0.1, 0.2, 0.4 and 0.9, in reading order."""
    image = torch.zeros(1, 20, 30)
    image[0, 0, 0], image[0, 0, -1], image[0, -1, 0], image[0, -1, -1] = 0.1, 0.2, 0.4, 0.9
    return image


@pytest.mark.parametrize(("test_time", "score"), [("none", 0.1), ("mirror", 0.15), ("flips", 0.4)])
def test_the_score_is_the_mean_over_mirrors(test_time: Any, score: float) -> None:
    found = whole_image_inferer(CornerClassifier(), test_time=test_time)(corners_image())
    assert float(found["image_score"]) == pytest.approx(score)
    assert found["image_score"].ndim == 0
    assert found["box"].shape == (0, 4)
    assert (len(found["label"]), len(found["label_scores"])) == (0, 0)


def test_mirrors_share_calls_and_gradients_are_off() -> None:
    classifier = CornerClassifier()
    inferer = whole_image_inferer(
        classifier, test_time="flips", batch_size=3, precision="bf16", channels_last=True
    )
    classifier.train()
    inferer(corners_image())
    assert classifier.calls == [(3, True, False), (1, True, False)]
    assert classifier.training
    assert inferer.min_area_mm2 is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="test_time must be none, mirror, flips, got 'twice'"):
        whole_image_inferer(CornerClassifier(), test_time="twice")  # type: ignore[arg-type]  # the fault
    with pytest.raises(TypeError, match=r"probabilities of 2 classes for each of 1 images.*got \[\(5,\)\]"):
        whole_image_inferer(CornerClassifier(5))(corners_image())
    with pytest.raises(ValueError, match=r"one image of shape \(1, H, W\)"):
        whole_image_inferer(CornerClassifier())(torch.zeros(2, 20, 30))


def samples() -> list[dict[str, Any]]:
    left = image_with(200, 300, [(0, 0, 20, 20, 0.75)])
    right = image_with(260, 180, [(240, 0, 260, 20, 0.5)])
    return [
        sample_of(left, "left", crop=(0, 0, 150, 280)),
        sample_of(right, "right", crop=(100, 0, 160, 170), is_right=True),
        sample_of(image_with(120, 90, [], background=0.125), "normal"),
    ]


def test_scores_reach_the_file_and_a_resumed_run_keeps_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "d.json"
    with caplog.at_level(logging.INFO):
        content = Predictor(whole_image_inferer(CornerClassifier()), samples(), output).run()
    scores = {each.record_id: each.image_score for each in content.detections}
    assert scores == {"left": 0.75, "right": 0.5, "normal": 0.125}
    assert [each.image_score for each in read_detections(output).detections] == list(scores.values())
    assert "3 images (3 with a score of their own), 0 failed" in caplog.text
    inference = json.loads(output.read_text())["model"]["inference"]
    assert (inference["inferer"], inference["test_time"]) == ("WholeImageInferer", "none")
    assert "classifier" not in inference


def test_the_journal_keeps_scores(tmp_path: Path) -> None:
    output = tmp_path / "d.json"
    with Journal(output, "f", {"a": 0, "b": 1}) as journal:
        journal.add(0, Detections("a", image_score=1 / 3))
        journal.add(1, Detections("b"))
    with Journal(output, "f", {"a": 0, "b": 1}) as journal:
        written = journal.write({}, None)
    assert [each.image_score for each in written.detections] == [1 / 3, None]
    assert (written.n_scored, journal_path(output).exists()) == (1, False)


@pytest.mark.parametrize("score", [float("nan"), 1.5])
def test_a_score_outside_its_range_is_an_error(score: float) -> None:
    nothing = whole_image_inferer(CornerClassifier())(corners_image())
    with pytest.raises(ValueError, match="an image's score must be a number from 0 to 1, got"):
        detections_in_original(samples()[0], {**nothing, "image_score": torch.tensor(score)})
