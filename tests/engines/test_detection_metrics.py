"""FROC, average precision and AUC as metrics of Ignite and of MONAI: the figures of `metrics`."""

from __future__ import annotations

import json
import math
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.engines import Evaluator, SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine
from monai.metrics import ROCAUCMetric
from torch import nn

from mammo_monai.engines import DetectionEvaluator, FrocMetric
from mammo_monai.engines.detection_figures import Scored
from mammo_monai.engines.ignite_metrics import AveragePrecisionMetric, ImageAucMetric
from mammo_monai.engines.image_rows import images_of, padding_row, rows_of
from mammo_monai.engines.monai_metrics import (
    CumulativeAveragePrecision,
    CumulativeFroc,
    CumulativeImageAuc,
    predictions_and_truths,
)
from mammo_monai.metrics import average_precision, match_pooled, pool_images
from mammo_monai.metrics.roc import roc_auc
from tests.engines.conftest import make_sample
from tests.engines.scored_images import ASIDE, HIT, scored_images
from tests.engines.test_parts import _Oracle
from tests.engines.two_processes import score_share

CUMULATIVE = {
    FrocMetric: CumulativeFroc,
    AveragePrecisionMetric: CumulativeAveragePrecision,
    ImageAucMetric: CumulativeImageAuc,
}


def figure(metric: Any, images: list[Scored]) -> float:
    """The figure of an Ignite metric that saw these images two at a time."""
    metric.reset()
    for start in range(0, len(images), 2):
        metric.update(images[start : start + 2])
    return metric.compute()


def as_tensors(images: list[Scored]) -> tuple[list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]:
    """Predictions and truths as MONAI's detectors give and take them, axes in MONAI's order."""
    swap = [1, 0, 3, 2]
    predictions = [
        {
            "box": torch.tensor(found.boxes[:, swap], dtype=torch.float32),
            "label_scores": torch.tensor(found.scores),
            "label": torch.tensor(found.labels),
        }
        for _, found in images
    ]
    truths = [
        {"box": torch.tensor(record.boxes[:, swap]), "label": torch.tensor(record.labels)}
        for record, _ in images
    ]
    return predictions, truths


def test_ignite_metrics_give_the_figures_of_metrics() -> None:
    images = scored_images(30)
    pooled = pool_images([found for _, found in images], [record.lesions for record, _ in images])
    assert figure(AveragePrecisionMetric(), images) == average_precision(match_pooled(pooled, min_iou=0.5))
    assert figure(AveragePrecisionMetric(min_iou=0.99), images) == average_precision(
        match_pooled(pooled, min_iou=0.99)
    )
    scores = [max(found.scores, default=-np.inf) for _, found in images]
    area = roc_auc(scores, [not record.is_normal for record, _ in images])
    assert figure(ImageAucMetric(), images) == area
    assert 0.5 < area < 1


@pytest.mark.parametrize(("ignite_metric", "monai_metric"), CUMULATIVE.items())
def test_monai_metrics_give_the_same_figures_in_batches_of_any_size(ignite_metric, monai_metric) -> None:
    images = scored_images(30)
    for size in (1, 4, 30):
        metric = monai_metric()
        for start in range(0, 30, size):
            metric(*predictions_and_truths(images[start : start + size]))
        assert metric.aggregate() == pytest.approx(figure(ignite_metric(), images), abs=1e-12)
        assert metric.aggregate() == metric.aggregate()


@pytest.mark.parametrize(("ignite_metric", "monai_metric"), CUMULATIVE.items())
def test_monai_metrics_take_dicts_of_tensors_too(ignite_metric, monai_metric) -> None:
    images, metric = scored_images(30), monai_metric()
    predictions, truths = as_tensors(images)
    metric(predictions[:10], truths[:10])
    metric(tuple(predictions[10:]), tuple(truths[10:]))
    assert metric.aggregate() == pytest.approx(figure(ignite_metric(), images), abs=1e-6)
    metric.reset()
    metric(predictions[:10], truths[:10])
    assert metric.aggregate() == pytest.approx(figure(ignite_metric(), images[:10]), abs=1e-6)


def test_the_auc_is_that_of_monais_own_metric() -> None:
    images, ours, theirs = scored_images(40, seed=3), CumulativeImageAuc(), ROCAUCMetric()
    for record, found in images:
        ours([found], [record])
        score = max(found.scores, default=-1.0)
        theirs(torch.tensor([[score]]), torch.tensor([[float(not record.is_normal)]]))
    assert ours.aggregate() == pytest.approx(float(theirs.aggregate()))


@pytest.mark.parametrize(("ignite_metric", "monai_metric"), CUMULATIVE.items())
def test_undefined_figures_are_nan_never_zero(ignite_metric, monai_metric) -> None:
    normal = [each for each in scored_images(10) if each[0].is_normal]
    metric = monai_metric()
    assert math.isnan(metric.aggregate())
    metric(*predictions_and_truths(normal))
    assert math.isnan(metric.aggregate())
    assert math.isnan(figure(ignite_metric(), normal))
    assert math.isnan(figure(ignite_metric(), []))
    # What was asked for too early does not stay.
    metric(*predictions_and_truths(scored_images(10)))
    assert metric.aggregate() == pytest.approx(figure(ignite_metric(), scored_images(10)))


def test_all_images_with_lesions_leave_the_auc_undefined() -> None:
    positive = [each for each in scored_images(10) if not each[0].is_normal]
    assert math.isnan(figure(ImageAucMetric(), positive))
    assert figure(AveragePrecisionMetric(), positive) > 0


def test_another_label_and_limit_can_be_scored() -> None:
    images = scored_images(20)
    for metric in (CumulativeFroc(label=1), CumulativeAveragePrecision(label=1), CumulativeImageAuc(label=1)):
        metric(*predictions_and_truths(images))
        assert math.isnan(metric.aggregate())
    shifted = [
        (
            record,
            type(found)(found.record_id, found.boxes + np.array([0, 0, 10, 0]), found.scores, found.labels),
        )
        for record, found in images
    ]
    for make in (CumulativeFroc, CumulativeAveragePrecision):
        loose, strict = make(min_iou=0.6), make(min_iou=0.7)  # the shifted box has an IoU of 2/3
        for metric in (loose, strict):
            metric(*predictions_and_truths(shifted))
        assert loose.aggregate() > 0
        assert strict.aggregate() == 0


def test_rows_bring_back_each_image_once_and_exactly() -> None:
    images = scored_images(9)
    rows = rows_of(*predictions_and_truths(images))
    back = images_of(torch.cat([padding_row()[None], rows, padding_row()[None], rows[:1], rows]))
    assert len(back) == 9
    for (record, found), (ours, theirs) in zip(images, back, strict=True):
        np.testing.assert_array_equal(record.boxes, ours.boxes)
        np.testing.assert_array_equal(record.labels, ours.labels)
        np.testing.assert_array_equal(found.boxes, theirs.boxes)
        np.testing.assert_array_equal(found.scores, theirs.scores)
    # Images without an id are never taken for one another, not even equal ones.
    predictions, truths = as_tensors(images[:1] * 3)
    twice = torch.cat([rows_of(predictions, truths), rows_of(predictions, truths)])
    assert len(images_of(twice)) == 6


def test_boxes_of_tensors_are_rows_and_columns() -> None:
    predictions, truths = as_tensors([scored_images(2)[1]])
    predictions[0] = {**predictions[0], "box": torch.tensor([[20.0, 10.0, 60.0, 30.0]])}
    predictions[0] |= {"label_scores": torch.tensor([0.5]), "label": torch.tensor([0])}
    ((record, found),) = images_of(rows_of(predictions, truths))
    assert record.lesions[0].box == HIT
    assert found.boxes.tolist() == [list(HIT)]


@pytest.mark.parametrize(
    ("predictions", "truths", "error", "message"),
    [
        (torch.zeros(1, 4), torch.zeros(1, 4), TypeError, "expected two lists with one entry per image"),
        ([{}], None, TypeError, "got list and NoneType"),
        ([], [], ValueError, "at least one, got 0 and 0"),
        ([{}], [{}, {}], ValueError, "got 1 and 2"),
        (
            [3],
            [{}],
            TypeError,
            "a prediction must be a dict of tensors, or Detections and ImageRecord, got int",
        ),
        ([{"box": torch.zeros(0, 4)}], [{}], KeyError, "a prediction must hold 'label_scores', got box"),
        (
            [{"box": torch.zeros(1, 4), "label_scores": torch.zeros(2), "label": torch.zeros(1)}],
            [{}],
            ValueError,
            "as many boxes as scores and labels in an image, got 1, 2, 1",
        ),
        (
            [{"box": torch.zeros(0, 4), "label_scores": torch.zeros(0), "label": torch.zeros(0)}],
            [{"box": torch.zeros(0, 4), "label": torch.zeros(1)}],
            ValueError,
            "got 0, 1",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused(predictions, truths, error, message: str) -> None:
    with pytest.raises(error, match=message):
        CumulativeFroc()(predictions, truths)


@pytest.mark.parametrize("metric", [CumulativeFroc, CumulativeAveragePrecision, CumulativeImageAuc])
def test_tensors_are_refused_by_every_metric(metric) -> None:
    with pytest.raises(TypeError, match="got tensors: images differ in their boxes"):
        metric()(torch.zeros(1, 4))


def test_detections_of_another_image_are_refused() -> None:
    (first, _), (_, second) = scored_images(2)
    with pytest.raises(ValueError, match=r"of different images: 0{16}, 0{15}1\."):
        CumulativeFroc()([second], [first])


def test_ignite_metrics_attach_to_our_evaluator(make_detector: Any) -> None:
    samples = [make_sample(0), make_sample(1), make_sample(2, is_normal=True)]
    evaluator = DetectionEvaluator(
        detector=make_detector(), inferer=_Oracle(), val_data_loader=[samples[:2], samples[2:]], device="cpu"
    )
    AveragePrecisionMetric().attach(evaluator, "ap50")
    ImageAucMetric().attach(evaluator, "image_auc")
    for name, metric in (
        ("froc", CumulativeFroc()),
        ("ap", CumulativeAveragePrecision()),
        ("auc", CumulativeImageAuc()),
    ):
        IgniteMetricHandler(metric, output_transform=predictions_and_truths).attach(evaluator, name)
    for _ in range(2):
        evaluator.run()
        names = ("mean_sensitivity", "ap50", "image_auc", "froc", "ap", "auc")
        assert [evaluator.state.metrics[name] for name in names] == [1.0] * 6


class _Marks(nn.Module):
    """A stand-in for a detector: one box on every image, scored by its mean brightness."""

    def forward(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        box = torch.tensor([[HIT[1], HIT[0], HIT[3], HIT[2]]])
        return [
            {"box": box, "label_scores": each.mean()[None], "label": torch.zeros(1, dtype=torch.int64)}
            for each in images
        ]


def _put_out(engine: Evaluator, batch: dict[str, Any]) -> list[dict[str, Any]]:
    found = engine.network(batch["image"])
    engine.state.output = [
        {"pred": prediction, "truth": truth} for prediction, truth in zip(found, batch["truth"], strict=True)
    ]
    return engine.state.output


def test_a_stock_monai_evaluator_chooses_its_best_by_our_metric() -> None:
    lesion = torch.tensor([[HIT[1], HIT[0], HIT[3], HIT[2]]])
    truths = [
        {"box": lesion, "label": torch.zeros(1, dtype=torch.int64)},
        {"box": torch.zeros(0, 4), "label": torch.zeros(0, dtype=torch.int64)},
    ]
    dark_normal = {"image": torch.stack([torch.ones(1, 6, 4), torch.zeros(1, 6, 4)]), "truth": truths}
    bright_normal = {"image": dark_normal["image"].flip(0), "truth": truths}
    pair = from_engine(["pred", "truth"])
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[bright_normal],
        network=_Marks(),
        iteration_update=_put_out,
        decollate=False,
        key_val_metric={"image_auc": IgniteMetricHandler(CumulativeImageAuc(), output_transform=pair)},
        additional_metrics={"froc": IgniteMetricHandler(CumulativeFroc(), output_transform=pair)},
    )
    evaluator.run(1)
    # The hit comes after half a false positive per image: found at 0.5, 1, 2 and 4, not at 0.25.
    assert evaluator.state.metrics == {"image_auc": 0.0, "froc": 0.8}
    evaluator.data_loader = [dark_normal]
    evaluator.run(2)
    assert evaluator.state.metrics == {"image_auc": 1.0, "froc": 1.0}
    assert (evaluator.state.best_metric, evaluator.state.best_metric_epoch) == (1.0, 2)
    assert evaluator.state.metric_details["image_auc"].shape == (5, 9)  # two images, two detections, a lesion


def test_a_plain_ignite_engine_resets_between_epochs() -> None:
    images = scored_images(12)
    engine = Engine(lambda _, batch: batch)
    ImageAucMetric().attach(engine, "auc")
    for part in (images, images[:6], images):
        engine.run([part[start : start + 3] for start in range(0, len(part), 3)])
        assert engine.state.metrics["auc"] == figure(ImageAucMetric(), part)


def test_two_processes_give_the_figures_of_the_whole(tmp_path: Path) -> None:
    store, output = str(tmp_path / "store"), str(tmp_path / "figures")
    context = get_context("fork")  # a new interpreter imports torch for seconds
    processes = [context.Process(target=score_share, args=(rank, store, output)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    whole = scored_images(11)
    expected = {"one process without images": figure(ImageAucMetric(), whole)}
    for ignite_metric, monai_metric in CUMULATIVE.items():
        expected[ignite_metric.__name__] = expected[monai_metric.__name__] = figure(ignite_metric(), whole)
    for rank in (0, 1):
        assert json.loads(Path(f"{output}.{rank}").read_text()) == pytest.approx(expected)


def test_the_made_images_have_both_kinds_and_an_empty_entry() -> None:
    images = scored_images(11)
    assert {record.is_normal for record, _ in images} == {True, False}
    assert not len(images[0][1].scores)
    assert any((found.boxes == ASIDE).all(axis=1).any() for _, found in images)
