"""Staged unfreezing: what trains in which epoch, at which rate, and that a resumed run is the same run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from torch import distributed, nn

from mammo_monai.engines import (
    CheckpointHandler,
    ModelTrainer,
    StageHandler,
    TrainingPlan,
    WeightAverage,
    distributed_model,
    make_schedule,
    staged_optimizer,
    training_stages,
)
from mammo_monai.networks import image_classifier, whole_image_network

STAGES = [
    {"freeze": "classifier", "learning_rate": 1e-2, "epochs": 1},
    {"freeze": "heads", "learning_rate": 1e-3, "epochs": 2},
    {"freeze": "all", "learning_rate": 1e-4, "epochs": 1},
]


class _Loader:
    """Two batches of two noisy images; their order depends on the epoch alone."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        order = np.random.default_rng(self.epoch).permutation(4)
        for start in (0, 2):
            yield [
                {
                    "image": torch.full((1, 64, 32), 0.2 * int(index)) + 0.1 * torch.rand(1, 64, 32),
                    "class_index": torch.tensor(int(index) % 2),
                    "record_id": f"{index:016x}",
                }
                for index in order[start : start + 2]
            ]


def classifier() -> Any:
    torch.manual_seed(0)
    options: dict[str, Any] = {"patch_px": 32, "top": "vgg", "top_widths": (8,)}
    return image_classifier(whole_image_network("efficientnet_lite0", **options))


def trainer(
    model: Any, plan: TrainingPlan, epochs: int, folder: Path | None = None, **options: Any
) -> ModelTrainer:
    optimizer = staged_optimizer(model.network, plan)
    schedule = make_schedule(optimizer, iterations=8, **options) if options else None
    if distributed.is_initialized():
        distributed_model(model, optimizer, torch.device("cpu"))
    handlers: list[Any] = [StageHandler(plan)]
    average = None
    if folder is not None:
        handlers.append(CheckpointHandler(folder, lineage={"freeze": plan.freeze}))
        average = WeightAverage(model.network)
    return ModelTrainer(
        model=model,
        optimizer=optimizer,
        train_data_loader=_Loader(),
        device="cpu",
        max_epochs=epochs,
        scheduler=schedule,
        average=average,
        target_keys=("class_index",),
        train_handlers=handlers,
    )


def changes(model: Any, plan: TrainingPlan, **options: Any) -> list[tuple[set[str], float]]:
    """Per epoch: which parts of the network changed, and the rate of its last step."""
    seen: list[tuple[set[str], float]] = []
    before: dict[str, torch.Tensor] = {}
    run = trainer(model, plan, plan.epochs, **options)

    def start(engine: ModelTrainer) -> None:
        before.update({name: value.detach().clone() for name, value in run.network.named_parameters()})

    def end(engine: ModelTrainer) -> None:
        named = run.network.named_parameters()
        moved = {name.split(".")[0] for name, value in named if not value.equal(before[name])}
        seen.append((moved, run.optimizer.param_groups[0]["lr"]))

    run.add_event_handler(Events.EPOCH_STARTED, start)
    run.add_event_handler(Events.EPOCH_COMPLETED, end)
    run.run()
    return seen


def test_each_stage_trains_its_parts_at_its_rate() -> None:
    assert changes(classifier(), training_stages("imagenet", STAGES)) == [
        ({"classifier"}, 1e-2),
        ({"top", "classifier"}, 1e-3),
        ({"top", "classifier"}, 1e-3),
        ({"backbone", "top", "classifier"}, 1e-4),
    ]


def test_a_schedule_multiplies_the_stages_rate() -> None:
    found = changes(classifier(), training_stages("imagenet", STAGES), kind="step", step_at=0.75)
    # The rate beside each epoch is that of the next step: 8 steps, a tenth from the seventh on.
    assert [rate for _, rate in found] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert found[3][0] == {"backbone", "top", "classifier"}


@pytest.mark.parametrize(
    ("stop", "options"), [(1, {}), (2, {"kind": "cosine", "warmup_iterations": 2})], ids=["between", "within"]
)
def test_a_run_resumed_between_and_within_stages_equals_an_uninterrupted_one(
    tmp_path: Path, stop: int, options: dict[str, Any]
) -> None:
    plan = training_stages("imagenet", STAGES)
    whole = classifier()
    torch.manual_seed(7)
    trainer(whole, plan, 4, tmp_path / "whole", **options).run()
    for epochs, seed in ((stop, 7), (4, 99)):  # a new process starts with other random numbers
        resumed = classifier()
        torch.manual_seed(seed)
        trainer(resumed, plan, epochs, tmp_path / "parts", **options).run()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    averages = [
        torch.load(tmp_path / run / "checkpoint_last.pt", weights_only=True)["average"]["average"]
        for run in ("whole", "parts")
    ]
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())


def test_norms_of_the_start_stay_frozen_in_all_stages_where_asked() -> None:
    model = classifier()
    norm = model.network.backbone.bn1
    before = norm.weight.detach().clone(), norm.running_mean.clone()
    found = changes(model, training_stages("imagenet", STAGES, frozen_norm=True))
    assert found[3][0] == {"backbone", "top", "classifier"}
    assert torch.equal(norm.weight, before[0])
    assert torch.equal(norm.running_mean, before[1])


def test_from_random_weights_all_layers_train_from_the_start(caplog: pytest.LogCaptureFixture) -> None:
    slow = [{"freeze": "heads", "learning_rate": 1e-6, "epochs": 2}, *STAGES[2:]]
    with caplog.at_level(logging.WARNING):
        plan = training_stages("none", slow, frozen_norm=True)
    assert plan.freeze == "all x 2, all x 1"
    assert plan.learning_rate == (1e-4, 1e-4)
    assert not plan.frozen_norm
    assert "init none: random weights, so every stage trains all layers at 0.0001" in caplog.text


def test_a_run_that_ends_before_its_last_stage_says_so(caplog: pytest.LogCaptureFixture) -> None:
    plan = training_stages("imagenet", STAGES)
    trainer(classifier(), plan, 4).run()
    assert "later ones" not in caplog.text
    trainer(classifier(), plan, 1).run()
    assert "the run ends after epoch 1, in stage 1 of 3: the later ones are not trained" in caplog.text
    assert "train 4 epochs" in caplog.text


def test_several_processes_average_what_a_later_stage_unfreezes(tmp_path: Path) -> None:
    plan = training_stages("imagenet", STAGES)
    alone = classifier()
    torch.manual_seed(7)
    trainer(alone, plan, 4).run()
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        model = classifier()
        torch.manual_seed(7)
        run = trainer(model, plan, 4)
        wrappers = [model.network]  # kept, so that no two share an address
        run.add_event_handler(Events.EPOCH_STARTED, lambda: wrappers.append(model.network))
        run.run()
        assert isinstance(model.network, nn.parallel.DistributedDataParallel)
        assert len({id(each) for each in wrappers}) == 4  # one before the run, one per stage
        assert not [n for n, p in model.network.named_parameters() if not p.requires_grad]
        for name, value in alone.network.state_dict().items():
            assert torch.equal(value, run.network.state_dict()[name]), name
    finally:
        distributed.destroy_process_group()


def test_the_plan_tells_the_stage_of_every_epoch() -> None:
    plan = training_stages("imagenet", STAGES)
    assert plan.epochs == 4
    assert [plan.stage_at(epoch).freeze for epoch in range(1, 5)] == ["classifier", "heads", "heads", "all"]
    assert plan.freeze == "classifier x 1, heads x 2, all x 1"
    for epoch in (0, 5):
        with pytest.raises(ValueError, match=f"epoch {epoch} lies outside the stages, which last 4 epochs"):
            plan.stage_at(epoch)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "at least one stage"),
        (
            [{"freeze": "all", "epochs": 1}],
            "stage 1 must have freeze, learning_rate and epochs, got freeze",
        ),
        ([{**STAGES[0], "rate": 1}], "stage 1 must have"),
        ([{**STAGES[0], "freeze": "top"}], "freezing policy must be one of .* got 'top'"),
        ([{**STAGES[0], "learning_rate": 0.0}], r"learning_rate must be above 0 and finite, got 0\.0"),
        ([{**STAGES[0], "epochs": 0}], "at least 1 epoch, got 0"),
    ],
)
def test_stages_that_say_nothing_are_errors(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_stages("imagenet", stages)


def test_a_run_longer_than_its_stages_and_foreign_optimisers_are_refused() -> None:
    model, plan = classifier(), training_stages("imagenet", STAGES)
    with pytest.raises(ValueError, match="epoch 5 lies outside the stages"):
        trainer(model, plan, 5).run()
    run = trainer(model, plan, 1)
    run.optimizer = torch.optim.SGD(model.network.classifier.parameters(), lr=1.0)
    with pytest.raises(ValueError, match=r"lacks \d+ parameter tensors .* such as backbone.*staged_opt"):
        run.run()
    run = trainer(model, plan, 1)
    run.scheduler = torch.optim.lr_scheduler.StepLR(run.optimizer, 3)
    with pytest.raises(TypeError, match="under a schedule of make_schedule or none, got StepLR"):
        run.run()
