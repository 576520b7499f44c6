"""Workers share the processors, and are dealt one GPU each where there are several."""

from __future__ import annotations

import pytest

from mammo_monai.experiments.workers import gpu_count, worker_variables


def none_asked() -> int:
    raise AssertionError("GPUs are counted only where CUDA_VISIBLE_DEVICES does not list them")


def devices(workers: int, listed: str | None, n_gpus: int) -> list[str | None]:
    variables = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    given = worker_variables(workers, variables, lambda: n_gpus)
    return [each.get("CUDA_VISIBLE_DEVICES") for each in given]


def test_listed_gpus_are_dealt_in_turn_and_threads_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert worker_variables(3, {"CUDA_VISIBLE_DEVICES": "4, 7"}, none_asked) == [
        {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": device} for device in "474"
    ]


def test_without_a_list_all_gpus_of_the_machine_are_dealt() -> None:
    assert devices(3, None, 4) == ["0", "1", "2"]
    assert devices(5, None, 2) == ["0", "1", "0", "1", "0"]


@pytest.mark.parametrize(("listed", "n_gpus"), [(None, 0), (None, 1), ("", 8), ("3", 8), ("-1", 8)])
def test_one_gpu_or_none_is_left_as_it_is(listed: str | None, n_gpus: int) -> None:
    assert devices(3, listed, n_gpus) == [None, None, None]


def test_one_worker_gets_the_machine_as_it_is() -> None:
    assert worker_variables(1, {}, none_asked) == [{}]


def test_threads_that_are_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert worker_variables(2, {"OMP_NUM_THREADS": "3"}, lambda: 0) == [{}, {}]
    assert worker_variables(3, {}, lambda: 0) == [{"OMP_NUM_THREADS": "1"}] * 3


def test_gpus_are_those_that_torch_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert gpu_count() == 3
