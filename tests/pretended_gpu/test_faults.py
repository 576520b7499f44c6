"""What goes wrong on GPUs alone: too many processes, full memory, a GPU that fails, lists out of tuples."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mammo_monai.engines import ClassificationEvaluator, ModelTrainer, process_device
from mammo_monai.errors import MammoError, TrainingError
from mammo_monai.inference import Predictor, make_inferer
from mammo_monai.schema import read_detections
from tests.engines.conftest import EpochLoader, make_sample

PASSES: list[int] = []  # of the last detector; not in it, for a run goes on with the same detector alone


class _Samples(list[dict[str, Any]]):
    @property
    def data(self) -> list[dict[str, Any]]:
        return list(self)


class _Failing(torch.nn.Module):
    """A detector whose third pass fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.network = torch.nn.Linear(1, 1)
        self.num_classes, self.error = 1, error
        PASSES.clear()

    def forward(self, images: list[torch.Tensor], targets: object = None) -> Any:
        PASSES.append(len(images))
        if len(PASSES) == 3:
            raise self.error
        if self.training:
            return {"classification": self.network(torch.ones(1, 1)).sum()}
        return [{"box": torch.zeros(0, 4), "label": torch.zeros(0), "label_scores": torch.zeros(0)}]


def _joining(monkeypatch: pytest.MonkeyPatch, *, rank: int, gpus: int) -> list[str]:
    done: list[str] = []
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("torch.cuda.set_device", lambda device: done.append(str(device)))
    monkeypatch.setattr("torch.distributed.init_process_group", done.append)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: len(done) > 1)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: rank)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    return done


def test_a_process_takes_its_gpu_before_it_joins_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _joining(monkeypatch, rank=1, gpus=2)
    assert process_device() == torch.device("cuda", 1)
    assert done == ["cuda:1", "nccl"]
    assert process_device() == torch.device("cuda", 1)
    assert done.count("nccl") == 1


def test_more_processes_than_gpus_are_told_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    done = _joining(monkeypatch, rank=2, gpus=2)
    with pytest.raises(RuntimeError, match=r"got process 3 and 2 GPUs\. Give --nproc_per_node 2"):
        process_device()
    assert not done


def test_a_full_memory_ends_a_training_with_what_to_change() -> None:
    detector = _Failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"))
    trainer = ModelTrainer(
        model=detector,  # type: ignore[arg-type]  # of the contract what a step needs
        optimizer=torch.optim.SGD(detector.network.parameters(), lr=0.1),
        train_data_loader=EpochLoader([make_sample(0), make_sample(1)]),
        device="cpu",
        max_epochs=3,
    )
    with pytest.raises(TrainingError, match=r"epoch 3, iteration 3\): CUDA out of memory. Train with --prec"):
        trainer.run()


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_a_gpu_that_fails_is_no_fault_of_the_images_left(kind: str, tmp_path: Path) -> None:
    detector = _Failing(torch.AcceleratorError("CUDA error: an illegal memory access"))
    samples, output = _Samples([make_sample(n) for n in range(5)]), tmp_path / f"d.{kind}"

    def predictor() -> Predictor:
        return Predictor(make_inferer(detector), samples, output, on_error="skip")  # type: ignore[arg-type]

    with pytest.raises(MammoError, match="The GPU failed, not the image: start the command again"):
        predictor().run()
    written = predictor().run()
    assert (written.n_images, written.n_failed) == (5, 0)
    assert len(PASSES) == 3 + 3  # the two that were done are not done again


def test_an_image_too_large_for_a_gpu_is_one_row_with_a_remedy(tmp_path: Path) -> None:
    detector = _Failing(torch.OutOfMemoryError("CUDA out of memory."))
    samples = _Samples([make_sample(n) for n in range(4)])
    output = tmp_path / "d.json"
    Predictor(make_inferer(detector), samples, output, on_error="skip").run()  # type: ignore[arg-type]
    (failed,) = read_detections(output).model["failed"]  # type: ignore[misc]  # a list of rows
    assert failed["record_id"] == samples[2]["record_id"]
    assert "Give precision bf16, a smaller batch_size" in failed["error"]


def test_a_place_that_page_locking_made_a_list_is_still_one_place() -> None:
    # torch 2.8 gives lists for tuples where memory is pinned, and lists are no keys.
    classifier = SimpleNamespace(num_classes=2, network=torch.nn.Identity(), eval=lambda: None)
    evaluator = ClassificationEvaluator(classifier=classifier, val_data_loader=[], device="cpu")  # type: ignore[arg-type]
    sample = {"patient_id": "p", "record_id": "ab", "class_index": 1, "site": [3.0, 4.5]}
    score = evaluator._score(sample, {"probabilities": torch.tensor([0.25, 0.75])})
    assert score.site == (3.0, 4.5)
    assert len({(score.record_id, score.site)}) == 1
