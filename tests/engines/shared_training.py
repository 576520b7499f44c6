"""Runs of tiny networks that one process and each of several do alike; what they end with, as tensors."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from ignite.engine import Events

from mammo_monai.data import data_loader
from mammo_monai.engines import (
    CheckpointHandler,
    DetectionEvaluator,
    ModelTrainer,
    WeightAverage,
    distributed_model,
    make_schedule,
)
from mammo_monai.inference import make_inferer
from mammo_monai.networks import apply_freezing, retinanet_detector, retinanet_network
from mammo_monai.networks.classifiers import image_classifier, patch_network
from tests.engines.conftest import make_sample

# Which of the films are normal. uneven: the second batch of four holds three. last_alone: it holds one, so
# the second process only keeps step. one_lesion: one process has normal films only, then both have.
FILMS = {
    "uneven": (False, True, False, False, True, True, False),
    "last_alone": (True, False, True, False, False),
    "one_lesion": (True, True, False, True, True, True, True, True),
}
SHARED = 2  # processes
Result = dict[str, Any]


class _Films:
    """Samples in float64, in which rounding hides nothing."""

    def __init__(self, is_normal: tuple[bool, ...]) -> None:
        self.is_normal = is_normal
        self.views: list[Any] = [SimpleNamespace(has_lesion=not normal) for normal in is_normal]
        self.samples = [make_sample(n, is_normal=normal) for n, normal in enumerate(is_normal)]
        for number, sample in enumerate(self.samples):
            sample["image"] = sample["image"].double()
            sample["class_index"] = torch.tensor(number % 3)

    def for_training(self) -> _Films:
        """At half size, every third film half as high again: the processes must pad alike."""
        smaller = _Films(self.is_normal)
        for number, sample in enumerate(smaller.samples):
            image, sample["box"] = sample["image"][:, ::2, ::2], sample["box"] / 2
            sample["image"] = torch.nn.functional.pad(image, (0, 0, 0, 64 if number % 3 == 2 else 0))
        return smaller

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.samples[index]


def all_results(rank: int, store: str, output: str) -> None:
    """What each of two processes does in a test."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=SHARED)
    torch.save(results(), f"{output}.{rank}")
    half_a_run(Path(f"{output}.run"))
    dist.destroy_process_group()


def results() -> dict[str, Result]:
    """Of every run: its losses, weights, averaged weights and figure."""
    found = {name: _detector_run(_Films(is_normal)) for name, is_normal in FILMS.items()}
    return {**found, "classifier": _classifier_run(_Films(FILMS["uneven"]))}


def half_a_run(folder: Path) -> None:
    """The classifier's run up to its checkpoint after the first of two epochs."""
    _classifier_run(_Films(FILMS["uneven"]), folder, epochs=1)


def other_half(folder: Path, *, batch_size: int = 4) -> Result:
    """The same run from that checkpoint on to its end."""
    return _classifier_run(_Films(FILMS["uneven"]), folder, batch_size=batch_size)


def _detector_run(films: _Films) -> Result:
    torch.manual_seed(0)
    network = retinanet_network("resnet18", fpn_channels=16, head_norm="gn8").double()
    parts = apply_freezing(network, "all", frozen_norm=True)
    detector = retinanet_detector(network, score_threshold=0.0, size_divisible=32)
    result = _run(
        detector,
        torch.optim.Adam(parts.parameters, lr=1e-3),
        films.for_training(),
        ("box", "label"),
        max_epochs=2 if films.is_normal == FILMS["uneven"] else 1,  # float64 convolutions are slow
    )
    evaluator = DetectionEvaluator(
        detector=detector,
        inferer=make_inferer(detector),
        val_data_loader=data_loader(films),
        device="cpu",
    )
    evaluator.run()
    return {**result, "figure": evaluator.state.metrics["mean_sensitivity"]}


def _classifier_run(
    films: _Films, folder: Path | None = None, *, epochs: int = 2, batch_size: int = 4
) -> Result:
    torch.manual_seed(0)
    for sample in films.samples:
        sample["image"] = sample["image"][:, :64, :64].float()
    network = patch_network("resnet18", num_classes=3, patch_px=64)
    parts = apply_freezing(network, "all", frozen_norm=True)
    model = image_classifier(network, class_weights=(0.2, 1.0, 3.0), label_smoothing=0.1)
    options = {"max_epochs": epochs, "train_handlers": [] if folder is None else [CheckpointHandler(folder)]}
    optimizer = torch.optim.SGD(parts.parameters, lr=1e-2, momentum=0.9)
    return _run(model, optimizer, films, ("class_index",), batch_size=batch_size, **options)


def _run(
    model: Any,
    optimizer: torch.optim.Optimizer,
    films: _Films,
    keys: tuple[str, ...],
    *,
    batch_size: int = 4,
    **options: Any,
) -> Result:
    own, network, processes = model.network, model.network, 1
    if dist.is_initialized():
        processes = SHARED
        distributed_model(model, optimizer, torch.device("cpu"))
    losses: list[float] = []
    trainer = ModelTrainer(
        model=model,
        optimizer=optimizer,
        train_data_loader=data_loader(films, batch_size=batch_size // processes, shuffle=True, seed=5),
        device="cpu",
        scheduler=make_schedule(optimizer, kind="cosine", iterations=4, warmup_iterations=2),
        max_gradient_norm=0.5,  # clips every step
        average=WeightAverage(own),
        target_keys=keys,
        **options,
    )
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output["loss"])
    )
    trainer.run()
    assert trainer.average is not None
    average = trainer.average.state_dict()["average"]
    return {"losses": losses, "weights": network.state_dict(), "average": average}


def saved(output: str, rank: int) -> dict[str, Result]:
    """What a process has left."""
    content: dict[str, Result] = torch.load(Path(f"{output}.{rank}"), weights_only=True)
    return content


if __name__ == "__main__":
    all_results(int(sys.argv[1]), sys.argv[2], sys.argv[3])
