"""GPU findings, from facts of every kind of machine; no test needs a GPU."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from mammo_monai.doctor import gpu_facts
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.gpu import findings, gpu_findings
from mammo_monai.doctor.gpu_facts import Device, Driver, Torch, driver_facts, torch_facts

CARD = Device("Example 24", (8, 6), 20.0, 24.0)
DRIVER = Driver(("Example 24",), "550.54", (12, 4))
BUILT = Torch("2.9.0", cuda="12.6", architectures=("sm_80", "sm_90", "compute_90"))


def only(driver: Driver, torch: Torch, visible: str | None = None) -> Finding:
    (found,) = gpu_findings(driver, torch, visible)
    return found


def with_card(**changes: object) -> Torch:
    return replace(BUILT, devices=(replace(CARD, **changes),))  # type: ignore[arg-type]


def test_a_machine_without_gpu_is_well() -> None:
    assert only(Driver(), Torch("2.9.0+cpu")).level is Level.OK


def test_a_sound_card_is_well() -> None:
    found = only(DRIVER, with_card())
    assert (found.level, found.name) == (Level.OK, "cuda:0")
    assert "24 GB (20 free)" in found.found


@pytest.mark.parametrize(
    ("driver", "torch", "visible", "said", "fix"),
    [
        (DRIVER, Torch("2.9.0+cpu"), None, "built without CUDA", "force-reinstall torch torchvision"),
        (DRIVER, BUILT, None, "the driver reaches CUDA 12.4", "Update the driver"),
        (Driver(("Card",), "580", (13, 0)), replace(BUILT, cuda_error="odd"), None, "odd", "torch.cuda.init"),
        (DRIVER, BUILT, "-1", "CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES"),
        (DRIVER, BUILT, "", "CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES"),
        (Driver((), "550.54"), BUILT, None, "no device is handed", "--gpus all"),
    ],
)
def test_a_card_that_torch_does_not_use_is_a_warning_with_its_reason(
    driver: Driver, torch: Torch, visible: str | None, said: str, fix: str
) -> None:
    found = only(driver, torch, visible)
    assert found.level is Level.WARNING
    assert said in found.found
    assert fix in found.fix


@pytest.mark.parametrize(
    ("torch", "level", "said"),
    [
        (with_card(capability=(6, 1)), Level.FAULT, "built for sm_80"),
        (with_card(error="CUDA error: an illegal memory access"), Level.FAULT, "illegal memory access"),
        (with_card(free_gb=2.0), Level.WARNING, "(2 free)"),
        (with_card(total_gb=4.0, free_gb=4.0), Level.WARNING, "4 GB"),
        (replace(with_card(capability=(7, 5)), architectures=("sm_75",)), Level.WARNING, "7.5"),
        (replace(with_card(capability=(9, 0)), hip="6.2", architectures=("gfx90a",)), Level.OK, "computes"),
    ],
)
def test_what_a_card_lacks_is_said(torch: Torch, level: Level, said: str) -> None:
    found = only(DRIVER, torch)
    assert found.level is level
    assert said in found.found
    assert bool(found.fix) == (level is not Level.OK)


def test_an_apple_gpu_and_a_broken_torch_are_told() -> None:
    assert "MPS" in only(Driver(), Torch("2.9.0", has_mps=True)).found
    assert only(DRIVER, Torch(error="ImportError: x")).fix == "mammo-monai doctor --only environment"


def test_the_driver_is_asked_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess((), 0, "Example 24, 550.54\nOther, 48 GB, 550.54\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    found = driver_facts()
    assert (found.names, found.version) == (("Example 24", "Other, 48 GB"), "550.54")


def test_a_driver_that_hangs_or_is_not_there_is_an_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 10)

    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setattr(gpu_facts, "_VERSION_FILE", gpu_facts.Path("/nowhere"))
    assert driver_facts().names == ()


class _Cuda:
    """torch.cuda of a machine with one card, whose calculations may fail."""

    def __init__(self, error: str = "") -> None:
        self.error = error

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def get_arch_list(self) -> list[str]:
        return ["sm_80"]

    def get_device_properties(self, _: int) -> object:
        return type("About", (), {"major": 8, "minor": 0, "name": "Card", "total_memory": 8e9})()

    def mem_get_info(self, _: int) -> tuple[float, float]:
        if self.error:
            raise RuntimeError(self.error)
        return 4e9, 8e9


@pytest.mark.parametrize("error", ["", "out of memory"])
def test_a_device_is_tried_and_its_error_kept(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version = type("Version", (), {"cuda": "12.6", "hip": None})
    fake = type(
        "Torch", (), {"__version__": "2.9.0", "version": version, "cuda": _Cuda(error), "backends": None}
    )
    fake.manual_seed = staticmethod(lambda _: (_ for _ in ()).throw(RuntimeError("no kernel image")))  # type: ignore[attr-defined]
    monkeypatch.setattr(gpu_facts, "import_module", lambda _: fake)
    (device,) = torch_facts().devices
    assert device.error == (error or "no kernel image")
    assert device.total_gb == 8.0


def test_all_of_this_kind_is_looked_at_here() -> None:
    said = [each for each in findings({}) if isinstance(each, Finding)]
    assert said
