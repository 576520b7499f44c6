"""Training on a pretended GPU: the run of a processor, kept and gone on with on either."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

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
from mammo_monai.networks import retinanet_detector, retinanet_network
from mammo_monai.networks.weight_files import read_weights
from tests.engines.conftest import EpochLoader, make_sample
from tests.pretended_gpu.machine import OnGpu, pretended_gpu


def _detector(device: str) -> Any:
    torch.manual_seed(0)
    network = retinanet_network("resnet18", fpn_channels=32, head_norm="gn8")
    network = network.to(device).to(memory_format=torch.channels_last)
    return retinanet_detector(
        network, score_threshold=0.0, detections_per_image=20, box_loss="giou", matcher="atss"
    )


def _trained(
    device: str, folder: Path, *, epochs: int = 1, precision: Any = "fp32", only_heads: bool = False
) -> Any:
    detector = _detector(device)
    if only_heads:
        detector.network.feature_extractor.requires_grad_(False)
    torch.manual_seed(7)
    optimizer = torch.optim.AdamW(detector.network.parameters(), lr=1e-3)
    average = WeightAverage(detector.network)
    evaluator = DetectionEvaluator(
        detector=detector,
        inferer=make_inferer(detector),
        val_data_loader=EpochLoader([make_sample(5), make_sample(6)]),
        device=device,
        precision=precision,
        average=average,
    )
    trainer = ModelTrainer(
        model=detector,
        optimizer=optimizer,
        train_data_loader=EpochLoader([make_sample(n) for n in range(2)]),
        device=device,
        max_epochs=epochs,
        scheduler=make_schedule(optimizer, kind="cosine", iterations=4, warmup_iterations=2),
        precision=precision,
        average=average,
        train_handlers=[
            Validation(evaluator),
            CheckpointHandler(folder, evaluator=evaluator),
            ProgressHandler(evaluator=evaluator, show_bar=False),
        ],
    )
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def on_processor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """One epoch of a processor: the trainer and its folder."""
    folder = tmp_path_factory.mktemp("cpu")
    return _trained("cpu", folder), folder


def test_a_gpu_trains_the_weights_that_a_processor_trains(
    on_processor: tuple[Any, Path], tmp_path: Path
) -> None:
    here, folder = on_processor
    with pretended_gpu() as machine:
        there = _trained("cuda:0", tmp_path)
        assert all(isinstance(each, OnGpu) for each in there.network.state_dict().values())
    assert machine.computed["convolution_backward"]
    own, other = (read_weights(each / "model.safetensors") for each in (folder, tmp_path))
    assert own.metadata == other.metadata
    for name, value in own.tensors.items():
        torch.testing.assert_close(other.tensors[name], value, rtol=0, atol=0)
    assert here.state.output == there.state.output


def test_a_run_goes_on_from_a_processor_to_a_gpu_with_loss_scaling_and_back(
    on_processor: tuple[Any, Path], tmp_path: Path
) -> None:
    shutil.copytree(on_processor[1], tmp_path / "run")
    with pretended_gpu():
        there = _trained("cuda:0", tmp_path / "run", epochs=2, precision="fp16", only_heads=True)
        assert there.loss_scaler.get_scale() in (2.0**15, 2.0**16)
    here = _trained("cpu", tmp_path / "run", epochs=3, precision="bf16", only_heads=True)
    assert (there.state.iteration, here.state.iteration) == (2, 3)


def test_gradients_that_no_scale_makes_finite_end_the_run(tmp_path: Path) -> None:
    with pretended_gpu():
        detector = _detector("cuda:0")
        detector.network.requires_grad_(False)
        weight = detector.network.classification_head.cls_logits.weight.requires_grad_()
        weight.register_hook(lambda gradient: gradient * torch.nan)
        trainer = ModelTrainer(
            model=detector,
            optimizer=torch.optim.SGD([weight], lr=1e-3),
            train_data_loader=EpochLoader([make_sample(n) for n in range(2)]),
            device="cuda:0",
            max_epochs=2,
            precision="fp16",
        )
        trainer.loss_scaler = torch.amp.GradScaler("cuda", init_scale=2.0)
        with pytest.raises(TrainingError, match="the gradient is not finite at epoch 2"):
            trainer.run()
