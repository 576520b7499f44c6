"""Engines and precisions: which words go together, and what is said of the others."""

from __future__ import annotations

import pytest
import torch

from mammo_monai.errors import MammoError
from mammo_monai.inference import Execution
from mammo_monai.inference.runtimes import choice
from mammo_monai.inference.runtimes.choice import check_packages, torch_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("tensorrt", "fp32", "engine must be one of torch, compile, onnx, openvino, got 'tensorrt'"),
        ("torch", "fp8", "precision must be one of fp32, bf16, fp16, int8, got 'fp8'"),
        ("onnx", "bf16", "engine onnx computes in fp32, got precision 'bf16'"),
        ("openvino", "fp16", "engine openvino computes in fp32, bf16, int8, got precision 'fp16'"),
        ("torch", "int8", "engine torch computes in fp32, bf16, fp16, got precision 'int8'"),
    ],
)
def test_words_that_do_not_go_together_are_refused(engine: str, precision: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Execution(engine=engine, precision=precision)  # type: ignore[arg-type]


def test_engines_of_their_own_enter_no_autocast() -> None:
    assert torch_precision("openvino", "bf16", CPU) == "fp32"
    assert torch_precision("compile", "bf16", CPU) == "bf16"
    with pytest.raises(ValueError, match="fp16 needs a CUDA device"):
        torch_precision("compile", "fp16", CPU)


def test_engines_of_the_cpu_refuse_a_gpu() -> None:
    with pytest.raises(ValueError, match="engine onnx runs on the CPU, the network is on cuda:0"):
        torch_precision("onnx", "fp32", GPU)
    assert torch_precision("torch", "fp16", GPU) == "fp16"


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_packages("torch")
    monkeypatch.setattr(choice, "find_spec", lambda name: None if name == "openvino" else object())
    with pytest.raises(
        MammoError, match=r"engine openvino needs the package openvino: pip install 'mammo-mo"
    ):
        check_packages("openvino")
    check_packages("onnx")
