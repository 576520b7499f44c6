from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mammo_monai.data import PatchPlan, data_loader, patch_dataset, patch_transforms
from mammo_monai.engines import (
    CheckpointHandler,
    ClassificationEvaluator,
    ClassScorer,
    ModelTrainer,
    Validation,
    WeightAverage,
    make_optimizer,
)
from mammo_monai.engines.classification import is_higher, is_lower
from mammo_monai.engines.classification_metrics import AccuracyMetric, AucMetric, LossMetric
from mammo_monai.networks import training_settings
from mammo_monai.networks.classifiers import image_classifier, patch_network
from mammo_monai.schema import ClassScore, read_class_scores
from tests.data.conftest import make_record

SCORES = [
    ClassScore("a", 0, 1, (0.2, 0.8), (1.0, 2.0)),
    ClassScore("a", 0, 0, (0.6, 0.4), (3.0, 2.0)),
    ClassScore("b", 1, 0, (0.3, 0.7), None),
]


class Brightness(nn.Module):
    """A classifier that answers by the mean grey value, times a weight of its network."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.network.weight, weight)

    def forward(self, images: list[Tensor], targets: Any = None) -> list[dict[str, Tensor]]:
        if self.training:
            raise AssertionError("evaluated in training mode")
        means = torch.stack([each.mean() for each in images])[:, None]
        p = torch.sigmoid(8 * (self.network(means)[:, 0] - 0.5))
        return [{"probabilities": torch.stack([1 - each, each])} for each in p]


def sample(number: int, truth: int, grey: float) -> dict[str, Any]:
    return {
        "image": torch.full((1, 4, 6), grey),
        "class_index": torch.tensor(truth),
        "record_id": f"{number:016x}",
        "patient_id": f"P{number // 2}",
        "site": (1.0, float(number)),
    }


BATCHES = [[sample(0, 0, 0.1), sample(1, 1, 0.9)], [sample(2, 0, 0.6), sample(3, 1, 0.7), sample(4, 0, 0.2)]]


def figures_of(scores: list[ClassScore]) -> list[float]:
    found = []
    for metric in (AucMetric(), AccuracyMetric(), LossMetric()):
        metric.reset()
        metric.update(scores)
        found.append(metric.compute())
    return found


def evaluator_of(classifier: nn.Module, **options: Any) -> ClassificationEvaluator:
    return ClassificationEvaluator(
        classifier=classifier,  # type: ignore[arg-type]  # it is one
        val_data_loader=BATCHES,
        device="cpu",
        **options,
    )


def test_figures_are_those_counted_by_hand() -> None:
    auc, accuracy, loss = figures_of(SCORES)
    assert (auc, accuracy) == (1.0, pytest.approx(2 / 3))
    assert loss == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(0.3)) / 3)


def test_an_answer_that_was_dealt_twice_counts_once() -> None:
    assert figures_of([*SCORES, SCORES[2]]) == figures_of(SCORES)


def test_what_is_undefined_is_nan_and_a_certain_error_is_finite() -> None:
    assert all(math.isnan(each) for each in figures_of([]))
    assert all(
        math.isnan(each) for each in figures_of([ClassScore("a", 0, 1, (math.nan, math.nan)), *SCORES[1:]])
    )
    auc, accuracy, loss = figures_of([ClassScore("a", 0, 1, (1.0, 0.0))])
    assert math.isnan(auc)
    assert (accuracy, loss) == (0.0, pytest.approx(-math.log(1e-12)))


def test_the_evaluator_gives_all_three_figures_and_answers_per_patch() -> None:
    answers: list[ClassScore] = []

    class Keeps:
        def attach(self, engine: Any) -> None:
            from ignite.engine import Events

            engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: answers.extend(e.state.output))

    classifier = Brightness().train()
    evaluator = evaluator_of(classifier, val_handlers=[Keeps()])
    evaluator.run()
    assert evaluator.state.metrics["auc"] == 1.0
    assert evaluator.state.metrics["accuracy"] == pytest.approx(0.8)
    assert evaluator.state.metrics["validation_loss"] > 0
    assert evaluator.state.key_metric_name == "auc"
    assert [each.patient for each in answers] == [0, 0, 1, 1, 2]
    assert answers[2].site == (1.0, 2.0)
    assert sum(answers[0].probabilities) == pytest.approx(1)


def test_the_average_s_weights_are_used_and_the_network_s_own_come_back() -> None:
    classifier = Brightness(1.0)
    average = WeightAverage(classifier.network)
    nn.init.constant_(classifier.network.weight, -1.0)
    evaluator = evaluator_of(classifier, average=average)
    evaluator.run()
    assert evaluator.state.metrics["auc"] == 1.0
    assert classifier.network.weight.item() == -1.0
    own = evaluator_of(classifier)
    own.run()
    assert own.state.metrics["auc"] == 0.0


@pytest.mark.parametrize(("key_metric", "best"), [("auc", 2), ("validation_loss", 2), ("accuracy", 2)])
def test_the_best_epoch_has_the_highest_auc_or_the_lowest_loss(key_metric: str, best: int) -> None:
    classifier = Brightness()
    evaluator = evaluator_of(classifier, key_metric=key_metric)
    for epoch, weight in enumerate((-1.0, 1.0, 0.0), start=1):
        nn.init.constant_(classifier.network.weight, weight)
        evaluator.run(epoch)
    assert evaluator.state.best_metric_epoch == best


def test_an_undefined_best_is_beaten_by_any_figure_and_undefined_beats_none() -> None:
    for better in (is_higher, is_lower):
        assert better(0.3, math.nan)
        assert not better(math.nan, 0.3)
        assert not better(math.nan, math.nan)
    assert is_higher(0.4, 0.3)
    assert is_lower(0.2, 0.3)


def test_an_unknown_key_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="key_metric must be auc, accuracy, validation_loss, got 'f1'"):
        evaluator_of(Brightness(), key_metric="f1")


def test_classes_of_the_patches_and_of_the_network_must_be_as_many() -> None:
    loader = Named([[sample(0, 0, 0.2)]])
    network = patch_network("resnet18", patch_px=32, num_classes=5)
    with pytest.raises(
        ValueError, match="num_classes is 5, but the patches have 2 classes: background, mass"
    ):
        ClassificationEvaluator(classifier=image_classifier(network), val_data_loader=loader, device="cpu")


class Named(list[Any]):
    """A loader whose data set names its classes."""

    class dataset:  # noqa: N801  # the attribute's name
        class_names = ("background", "mass")


def test_answers_of_all_processes_are_joined_and_those_dealt_twice_count_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What gather_lists gives in a group of two is tested where two processes run (FrocMetric).
    monkeypatch.setattr(
        "mammo_monai.engines.classification_metrics.gather_lists", lambda own: [*own, *SCORES[1:]]
    )
    assert figures_of(SCORES[:2]) == figures_of(SCORES)
    monkeypatch.undo()
    assert figures_of(SCORES[:2]) != figures_of(SCORES)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Training and test: a film with two lesions, a right breast with one, and one without."""
    from mammo_monai.schema import Manifest, write_manifest

    films = tuple(make_record(tmp_path, number, lesions) for number, lesions in enumerate([2, 1, 0]))
    path = tmp_path / "manifest.json"
    write_manifest(path, Manifest(training=films))
    return path


def test_a_patch_network_learns_bright_lesions_and_its_answers_are_written(
    manifest: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    patches = patch_dataset(
        manifest,
        transform=patch_transforms(region="none"),
        plan=PatchPlan(patch_px=32, stride_px=14, negatives="same_images", min_breast=0.5),
        cache_dir=tmp_path / "cache",
    )
    loader = data_loader(patches, batch_size=8, shuffle=True)  # type: ignore[arg-type]  # it has what is asked
    network = patch_network("resnet18", patch_px=32)
    classifier = image_classifier(network)
    evaluator = ClassificationEvaluator(
        classifier=classifier, val_data_loader=loader, device="cpu", key_metric="validation_loss"
    )
    trainer = ModelTrainer(
        model=classifier,
        optimizer=make_optimizer(network, training_settings("none", "all", 1e-3)),
        train_data_loader=loader,
        device="cpu",
        max_epochs=3,
        target_keys=("class_index",),
        train_handlers=[
            Validation(evaluator),
            CheckpointHandler(tmp_path / "run", evaluator=evaluator, early_stop_epochs=2),
        ],
    )
    trainer.run()
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert evaluator.state.best_metric < 0.6  # ln 2 = 0.69 where nothing was learnt
    stopped = trainer.state.epoch == evaluator.state.best_metric_epoch + 2
    assert stopped or trainer.state.epoch == 3
    scorer = ClassScorer(
        classifier=classifier,
        data_loader=data_loader(patches, batch_size=8),  # type: ignore[arg-type]  # as above
        device="cpu",
        output=tmp_path / "class_scores.json",
        model={"bundle": "test"},
    )
    for _ in range(2):
        content = read_class_scores(scorer.run())
    assert len(content.scores) == len(patches)
    assert content.class_names == ("background", "mass")
    assert content.model == {"bundle": "test"}
    assert [each.class_index for each in content.scores] == [each.class_index for each in patches.sites]
    assert scorer.evaluator.state.metrics["auc"] > 0.8
    assert {each.patient for each in content.scores} == {0}  # both films with lesions are of patient P0
