"""A device that is not there is refused by name, before weights are read."""

from __future__ import annotations

import pytest
import torch

from mammo_monai.bundle import bundle_parts, run_bundle
from mammo_monai.bundle.devices import check_device
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    n_devices: int = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return n_devices


@pytest.mark.parametrize(
    ("gpus", "device", "expected"),
    [
        (0, "cuda", "torch finds no CUDA device on this machine"),
        (0, "cuda:0", "with --device cpu it runs all the same"),
        (0, "mps", "torch finds no mps device"),
        (0, "gpu", "is none; expected cpu, cuda, cuda:N or mps"),
        (0, "", "is none; expected"),
        (0, "meta", "was not made for it"),
        (1, "cuda:1", "none of this number; expected cuda:0, or cpu"),
        (2, torch.device("cuda:2"), "none of this number; expected cuda:0 to cuda:1, or cpu"),
    ],
    indirect=["gpus"],
)
def test_a_device_that_is_not_there_is_named_with_those_that_are(
    gpus: int, device: object, expected: str
) -> None:
    with pytest.raises(BundleError, match=expected):
        check_device(device)


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_what_is_there_and_what_only_the_run_can_tell_passes(gpus: int) -> None:
    for device in (None, "cpu", "cuda", "cuda:1", torch.device("cuda:0"), "$torch.device('cpu')", "@other"):
        check_device(device)


@pytest.mark.parametrize("gpus", [0], indirect=True)
def test_every_way_into_a_bundle_looks_at_the_device_first(
    gpus: int, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = "device cuda:0: torch finds no CUDA device"
    with pytest.raises(BundleError, match=expected):
        run_bundle("cbis_mass_detection", "inference", "run", {"device": "cuda:0"})
    with pytest.raises(BundleError, match=expected):
        bundle_parts("cbis_mass_detection", ["model"], {"device": "cuda:0"})
    words = ["predict", "film.dcm", "--bundle", "cbis_mass_detection", "--region", "global"]
    assert main([*words, "--device", "cuda:0", "-o", "marks.json"]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Did you mean" not in error  # --region is an id of the bundle's, and not what was wrong
