"""The training engine: what a step does, what it refuses, and that a resumed run is the same run."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Events
from torch.utils.data import DataLoader

from mammo_monai.engines import (
    CheckpointHandler,
    DetectionEvaluator,
    ModelTrainer,
    ProgressHandler,
    Validation,
    WeightAverage,
    make_schedule,
)
from mammo_monai.errors import TrainingError
from mammo_monai.inference import make_inferer
from mammo_monai.networks.weight_files import read_weights
from tests.engines.conftest import EpochLoader, make_sample

_KEPT = ("lineage", "resume", "early_stop_epochs", "keep")


def _trainer(detector: Any, folder: Path | None, epochs: int, **options: Any) -> ModelTrainer:
    loader = EpochLoader([make_sample(n) for n in range(4)], noise=0.05)
    optimizer = torch.optim.Adam(detector.network.parameters(), lr=1e-3)
    average = WeightAverage(detector.network)
    interval = options.pop("val_interval", 1)
    evaluator = DetectionEvaluator(
        detector=detector,
        inferer=make_inferer(detector),
        val_data_loader=EpochLoader([make_sample(n) for n in range(4)]),
        device="cpu",
        average=average,
    )
    keep = {name: options.pop(name) for name in _KEPT if name in options}
    handlers = [Validation(evaluator, interval), ProgressHandler(evaluator=evaluator, show_bar=True)]
    if folder is not None:
        handlers.insert(1, CheckpointHandler(folder, evaluator=evaluator, **keep))
    return ModelTrainer(
        model=detector,
        optimizer=optimizer,
        train_data_loader=loader,
        device="cpu",
        max_epochs=epochs,
        scheduler=make_schedule(optimizer, kind="cosine", iterations=8, warmup_iterations=2),
        average=average,
        train_handlers=handlers,
        **options,
    )


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(make_detector: Any, tmp_path: Path) -> None:
    whole = make_detector()
    torch.manual_seed(7)
    _trainer(whole, tmp_path / "whole", 4).run()
    first = make_detector()
    torch.manual_seed(7)
    _trainer(first, tmp_path / "parts", 2).run()
    torch.manual_seed(99)  # a new process starts with other random numbers
    second = make_detector()
    trainer = _trainer(second, tmp_path / "parts", 4)
    trainer.run()
    assert trainer.state.iteration == 8
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    best = [read_weights(tmp_path / run / "model.safetensors") for run in ("whole", "parts")]
    assert best[0].metadata == best[1].metadata
    assert all(torch.equal(best[0].tensors[name], best[1].tensors[name]) for name in best[0].tensors)


def test_a_finished_run_started_again_trains_nothing(make_detector: Any, tmp_path: Path) -> None:
    _trainer(make_detector(), tmp_path, 1).run()
    again = make_detector()
    trainer = _trainer(again, tmp_path, 1)
    trainer.run()
    assert trainer.state.iteration == 2
    assert trainer.state.epoch == 1


def test_training_lowers_the_loss(make_detector: Any) -> None:
    trainer = _trainer(make_detector(), None, 8)
    losses: list[float] = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output["loss"])
    )
    trainer.run()
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_records(
    make_detector: Any, tmp_path: Path
) -> None:
    detector = make_detector()
    trainer = _trainer(detector, None, 1)
    for sample in trainer.data_loader.samples:
        sample["image"] = sample["image"] * float("nan")
    before = {name: value.clone() for name, value in detector.network.named_parameters()}
    with pytest.raises(
        TrainingError, match=r"not finite at epoch 1, iteration 1(.|\n)*0000000000000\d+, 00000"
    ):
        trainer.run()
    assert all(torch.equal(before[name], value) for name, value in detector.network.named_parameters())


@pytest.mark.parametrize("limit", [10.0, None])
def test_a_gradient_that_is_not_finite_leaves_the_weights_as_they_were(
    make_detector: Any, limit: float | None
) -> None:
    """The loss may be finite all the same; weights of NaN would be found out only in the next step."""
    detector = make_detector()
    trainer = _trainer(detector, None, 1, max_gradient_norm=limit)
    weight = detector.network.classification_head.cls_logits.weight
    weight.register_hook(lambda gradient: gradient * float("inf"))
    before = {name: value.clone() for name, value in detector.network.named_parameters()}
    with pytest.raises(
        TrainingError, match=r"gradient is not finite at epoch 1(.|\n)*0000000000000\d+, 00000"
    ):
        trainer.run()
    assert all(torch.equal(before[name], value) for name, value in detector.network.named_parameters())


def test_images_without_boxes_train_the_classifier(make_detector: Any) -> None:
    detector = make_detector()
    trainer = _trainer(detector, None, 1)
    trainer.data_loader.samples = [make_sample(n, is_normal=True) for n in range(4)]
    before = detector.network.classification_head.cls_logits.bias.detach().clone()
    trainer.run()
    assert trainer.state.output["box_regression"] == 0
    assert not torch.equal(before, detector.network.classification_head.cls_logits.bias)


def test_bf16_training_stays_finite_and_close_to_fp32(make_detector: Any) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        torch.manual_seed(3)
        trainer = _trainer(make_detector(), None, 2, precision=precision)
        trainer.run()
        losses[precision] = trainer.state.output["loss"]
    assert losses["bf16"] == pytest.approx(
        losses["fp32"], rel=0.15
    )  # bf16 keeps 8 bits: percents over 4 steps


def test_fp16_is_refused_without_a_gpu(make_detector: Any) -> None:
    with pytest.raises(ValueError, match="fp16 needs a CUDA device"):
        _trainer(make_detector(), None, 1, precision="fp16")
    with pytest.raises(ValueError, match="fp32, bf16 or fp16"):
        _trainer(make_detector(), None, 1, precision="fp8")


def test_a_checkpoint_of_another_lineage_is_refused(make_detector: Any, tmp_path: Path) -> None:
    _trainer(make_detector(), tmp_path, 1, lineage={"learning_rate": 0.1}).run()
    with pytest.raises(TrainingError, match=r"learning_rate: 0\.1 there, 0\.2 now(.|\n)*--resume false"):
        _trainer(make_detector(), tmp_path, 1, lineage={"learning_rate": 0.2}).run()
    started_over = _trainer(make_detector(), tmp_path, 1, lineage={"learning_rate": 0.2}, resume=False)
    started_over.run()
    assert started_over.state.iteration == 2


@pytest.mark.parametrize(
    "content", [b"half a file", ["no", "dict"], {"lineage": {}}, {"lineage": {}, "epoch": SimpleNamespace()}]
)
def test_a_damaged_checkpoint_is_one_clear_error(make_detector: Any, tmp_path: Path, content: Any) -> None:
    path = tmp_path / "checkpoint_last.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(TrainingError, match=r"checkpoint_last\.pt: this checkpoint does not fit"):
        _trainer(make_detector(), tmp_path, 1).run()


def test_training_ends_early_when_no_epoch_is_better(make_detector: Any, tmp_path: Path) -> None:
    trainer = _trainer(make_detector(), tmp_path, 50, early_stop_epochs=1)

    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    trainer.scheduler = None
    trainer.run()
    assert trainer.state.epoch < 50


def test_without_validation_the_newest_weights_are_kept(make_detector: Any, tmp_path: Path) -> None:
    detector = make_detector()
    optimizer = torch.optim.SGD(detector.network.parameters(), lr=1e-3)
    loader = EpochLoader([make_sample(n) for n in range(2)])
    handlers = [CheckpointHandler(tmp_path, lineage={"bundle": "b"}), ProgressHandler(show_bar=False)]
    ModelTrainer(
        model=detector,
        optimizer=optimizer,
        train_data_loader=loader,
        device="cpu",
        max_epochs=2,
        max_gradient_norm=None,
        train_handlers=handlers,
    ).run()
    kept = read_weights(tmp_path / "model.safetensors")
    assert (kept.metadata["epoch"], kept.metadata["bundle"]) == ("2", "b")
    name = "classification_head.cls_logits.bias"
    assert torch.equal(kept.tensors[name], detector.network.state_dict()[name])


def test_keep_last_is_the_same_run_resumed_and_keeps_the_newest_average(
    make_detector: Any, tmp_path: Path
) -> None:
    whole = make_detector()
    torch.manual_seed(7)
    trainer = _trainer(whole, tmp_path / "whole", 3, keep="last", val_interval=2)
    trainer.run()
    first = make_detector()
    torch.manual_seed(7)
    _trainer(first, tmp_path / "parts", 1, keep="last", val_interval=2).run()
    torch.manual_seed(99)  # a new process starts with other random numbers
    _trainer(make_detector(), tmp_path / "parts", 3, keep="last", val_interval=2).run()
    kept = [read_weights(tmp_path / run / "model.safetensors") for run in ("whole", "parts")]
    assert kept[0].metadata == kept[1].metadata
    with trainer.average.applied_to(whole.network):
        for name, value in whole.network.state_dict().items():
            assert torch.equal(kept[0].tensors[name], value), name
            assert torch.equal(kept[1].tensors[name], value), name


@pytest.mark.parametrize("keep", ["best", "last"])
def test_how_often_a_run_is_validated_changes_no_weight(
    make_detector: Any, tmp_path: Path, keep: Any
) -> None:
    trained = []
    for interval in (1, 3):
        detector = make_detector()
        torch.manual_seed(7)
        trainer = _trainer(detector, tmp_path / str(interval), 2, keep=keep, val_interval=interval)
        trainer.run()
        trained.append((detector.network.state_dict(), trainer.average.state_dict()["average"]))
    for often, once in zip(*trained, strict=True):
        assert all(torch.equal(value, once[name]) for name, value in often.items())


def test_the_figure_beside_kept_weights_is_theirs(make_detector: Any, tmp_path: Path) -> None:
    """Not the best one of the run, and none for an epoch that was not validated."""
    state = SimpleNamespace(
        epoch=2, key_metric_name="figure", metrics={"figure": 0.25}, best_metric=0.75, best_metric_epoch=1
    )
    handler = CheckpointHandler(tmp_path, evaluator=SimpleNamespace(state=state), keep="last")
    trainer = SimpleNamespace(state=SimpleNamespace(epoch=2), average=None, network=make_detector().network)
    handler._save_best(trainer)  # type: ignore[arg-type]  # all of a trainer that it reads
    metadata = read_weights(tmp_path / "model.safetensors").metadata
    assert (metadata["epoch"], metadata["figure"]) == ("2", "0.25")
    trainer.state.epoch = 3
    handler._save_best(trainer)  # type: ignore[arg-type]
    metadata = read_weights(tmp_path / "model.safetensors").metadata
    assert metadata["epoch"] == "3"
    assert "figure" not in metadata


@pytest.mark.parametrize(("keep", "newest_is_kept"), [("best", False), ("last", True)])
def test_the_validation_list_chooses_only_where_asked(
    make_detector: Any, tmp_path: Path, keep: Any, newest_is_kept: bool
) -> None:
    state = SimpleNamespace(best_metric_epoch=1)
    handler = CheckpointHandler(tmp_path, evaluator=SimpleNamespace(state=state), keep=keep)
    assert handler._is_best(1)
    assert handler._is_best(2) is newest_is_kept


def test_a_run_does_not_go_on_with_another_keep(make_detector: Any, tmp_path: Path) -> None:
    _trainer(make_detector(), tmp_path, 1, keep="last").run()
    with pytest.raises(
        TrainingError, match=r"it keeps the last weights, asked for keep best(.|\n)*--resume fal"
    ):
        _trainer(make_detector(), tmp_path, 2).run()
    # Checkpoints of before this option say nothing of it, and are continued.
    path = tmp_path / "checkpoint_last.pt"
    content = torch.load(path, weights_only=True)
    del content["keep"]
    torch.save(content, path)
    trainer = _trainer(make_detector(), tmp_path, 2)
    trainer.run()
    assert trainer.state.iteration == 4


def test_words_and_mixtures_that_choose_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep must be best or last, got 'newest'"):
        CheckpointHandler(tmp_path, keep="newest")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="keep last chooses nothing by validation, early_stop_epochs 3 would"
    ):
        CheckpointHandler(tmp_path, keep="last", early_stop_epochs=3)


def test_nothing_to_train_is_an_error(make_detector: Any) -> None:
    detector = make_detector()
    trainer = _trainer(detector, None, 1)
    detector.network.requires_grad_(False)
    with pytest.raises(TrainingError, match="no parameter"):
        trainer.run()


def test_fewer_images_than_a_batch_are_an_error_and_not_a_training_without_weights(
    make_detector: Any,
) -> None:
    trainer = _trainer(make_detector(), None, 1)
    trainer.data_loader = DataLoader([make_sample(n) for n in range(3)], batch_size=8, drop_last=True)
    with pytest.raises(TrainingError, match=r"got none: 3 images, batch size 8, .* smaller --batch_size"):
        trainer.run()


def test_the_epoch_line_gives_loss_figure_and_time_left(make_detector: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, logger="mammo_monai.engines.progress")
    _trainer(make_detector(), None, 2).run()
    lines = [record.message for record in caplog.records if record.name == "mammo_monai.engines.progress"]
    assert len(lines) == 2
    assert lines[0].startswith("training: epoch 1/2, loss ")
    assert "mean_sensitivity" in lines[0]
    assert lines[1].endswith("00:00 left")


def test_the_last_epoch_is_validated_whatever_the_interval(make_detector: Any) -> None:
    class _Evaluator:
        def __init__(self) -> None:
            self.epochs: list[int] = []

        def run(self, epoch: int) -> None:
            self.epochs.append(epoch)

    evaluator, detector = _Evaluator(), make_detector()
    ModelTrainer(
        model=detector,
        optimizer=torch.optim.SGD(detector.network.parameters(), lr=1e-3),
        train_data_loader=EpochLoader([make_sample(n) for n in range(2)]),
        device="cpu",
        max_epochs=5,
        train_handlers=[Validation(evaluator, interval=2)],
    ).run()
    assert evaluator.epochs == [2, 4, 5]
    with pytest.raises(ValueError, match="at least 1 epoch"):
        Validation(evaluator, interval=0)
