"""Two processes train what one would with the same batch: losses, weights, averages and figures."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mammo_monai.engines import CheckpointHandler, TensorBoardHandler, checkpoint, distributed
from mammo_monai.errors import TrainingError
from mammo_monai.networks.several_processes import mean_over_processes, process_count, stand_in
from tests.engines.shared_training import FILMS, other_half, results, saved
from tests.warm import Warm, warm  # a fixture

__all__ = ["warm"]
ROOT = Path(__file__).parents[2]
RUNS = (*FILMS, "classifier")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> list[dict[str, Any]]:
    """Of one process, of the first and second of two; and the folder of a run that two processes began."""
    folder = tmp_path_factory.mktemp("shared")
    store, output = str(folder / "store"), str(folder / "results")
    processes = [
        warm.start(
            "python", "-m", "tests.engines.shared_training", rank, store, output, folder=ROOT, output=log
        )
        for rank, log in (("0", folder / "first.txt"), ("1", folder / "second.txt"))
    ]
    alone = results()
    codes = [process.wait(timeout=300) for process in processes]
    assert codes == [0, 0], (folder / "first.txt").read_text()[-3000:]
    return [alone, saved(output, 0), saved(output, 1), {"folder": Path(f"{output}.run")}]


@pytest.mark.parametrize("name", RUNS)
def test_the_logged_losses_are_those_of_the_whole_batch(runs: list[dict[str, Any]], name: str) -> None:
    alone, first, second = (run[name]["losses"] for run in runs[:3])
    assert len(alone) == (4 if name in ("uneven", "classifier") else 2)
    assert first == second == pytest.approx(alone, rel=1e-6)  # logged in float32


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", ["weights", "average"])
def test_the_weights_are_those_of_one_process(runs: list[dict[str, Any]], name: str, kind: str) -> None:
    alone, first, second = (run[name][kind] for run in runs[:3])
    changed = 0
    for key, value in alone.items():
        # Sums in another order: of float64, where Adam divides small gradients by small ones; of float32.
        tolerance = 1e-9 if value.dtype == torch.float64 else 1e-5
        torch.testing.assert_close(first[key], value, rtol=0, atol=tolerance, msg=key)
        assert torch.equal(first[key], second[key]), key
        changed += value.is_floating_point() and "running" not in key
    assert changed > 20


@pytest.mark.parametrize("name", FILMS)
def test_the_figure_counts_every_film_once(runs: list[dict[str, Any]], name: str) -> None:
    alone, first, second = (run[name]["figure"] for run in runs[:3])
    assert first == second == alone


def test_one_process_goes_on_with_what_two_began_and_only_with_their_batch(
    runs: list[dict[str, Any]],
) -> None:
    folder = runs[3]["folder"]
    # Seven films are two batches of five, too: the steps would count alike.
    with pytest.raises(TrainingError, match=r"its batches have 4 images, now 5: keep .* batch_size times"):
        other_half(folder, batch_size=5)
    resumed, whole = other_half(folder), runs[0]["classifier"]
    assert resumed["losses"] == pytest.approx(whole["losses"][2:], rel=1e-4)
    for kind in ("weights", "average"):
        for key, value in whole[kind].items():
            torch.testing.assert_close(resumed[kind][key], value, rtol=0, atol=1e-5, msg=key)


def test_one_process_alone_shares_nothing() -> None:
    value = torch.tensor(3)
    assert process_count() == 1
    assert mean_over_processes(value) is value
    with stand_in():
        assert mean_over_processes(value) is value


def test_a_checkpoint_that_not_all_processes_see_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "gather_lists", lambda own: [True, *own])
    handler = CheckpointHandler(tmp_path)
    with pytest.raises(TrainingError, match=r"1 of 2 processes see this checkpoint\. Give all machines one"):
        handler._start(SimpleNamespace(while_running=ExitStack()))  # type: ignore[arg-type]  # nothing of it is read before


def test_only_the_first_process_writes_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")  # as torchrun sets it
    assert not distributed.is_first_process()
    TensorBoardHandler(str(tmp_path / "curves")).attach(SimpleNamespace())
    assert not (tmp_path / "curves").exists()
