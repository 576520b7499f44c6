"""The seam: a detector or classifier whose network is computed by the engine that was asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar, cast

from torch import nn

from mammo_monai.errors import WeightsError
from mammo_monai.inference.runtimes.choice import PRECISIONS, check_packages, torch_precision
from mammo_monai.inference.runtimes.compiled import compiled_run
from mammo_monai.inference.runtimes.cores import core_of, network_around, with_child
from mammo_monai.inference.runtimes.exported import exported_model
from mammo_monai.inference.runtimes.model_cache import cached_onnx
from mammo_monai.inference.runtimes.onnx_export import check_equal
from mammo_monai.inference.runtimes.onnx_session import onnx_run
from mammo_monai.inference.runtimes.openvino_model import openvino_run

if TYPE_CHECKING:
    from pathlib import Path

    from mammo_monai.inference.runtimes.choice import EngineName, InferencePrecision
    from mammo_monai.inference.runtimes.cores import Run

logger = logging.getLogger(__name__)
D = TypeVar("D")


def on_engine(model: D, engine: EngineName, precision: InferencePrecision = "fp32") -> D:
    """A twin of a detector or classifier whose network is computed by an engine; torch: the model itself.

    The model is left as it is, and shares all else with its twin. What the engine needs is made now, so that
    what it lacks is told before the first image.

    Args:
        model: see `networks.contract`; its weights are loaded.
        precision: the engine's, where it has its own.

    Raises:
        ValueError: a precision that the device has not, or a network on a GPU for an engine of the CPU.
        TypeError: a network that no other engine computes.
        MammoError: the engine is not installed; or engine compile, and no C++ compiler.
        WeightsError: the engine answers otherwise than torch, or int8 and no exported model of these weights.
    """
    if engine == "torch":
        return model
    network: nn.Module = cast(Any, model).network
    device = next(network.parameters()).device
    core = core_of(network)
    torch_precision(engine, precision, device)
    check_packages(engine)
    run = compiled_run(core) if engine not in PRECISIONS else _of_file(network, engine, precision)
    twin = with_child(cast(nn.Module, model), "network", network_around(network, run))
    return cast(D, twin)


def _of_file(network: nn.Module, engine: EngineName, precision: InferencePrecision) -> Run:
    path = _model_file(network, engine, is_int8=precision == "int8")
    logger.debug("engine %s reads %s", engine, path)
    run = _opened(engine, path, precision)
    if precision == "fp32":  # another version, another processor than where it was exported
        check_equal(core_of(network).eval(), run, f"{path} in engine {engine}")
    return run


def _model_file(network: nn.Module, engine: EngineName, *, is_int8: bool) -> Path:
    exported = exported_model(network, engine, int8=is_int8)
    if exported is not None:
        return exported
    if is_int8:
        raise WeightsError(
            "precision int8 needs an exported model beside the weights, and there is none. Make it with "
            f"`mammo-monai bundle export BUNDLE --engine {engine} --int8 --calibration MANIFEST`, or take "
            "precision bf16."
        )
    found = exported_model(network, "onnx") if engine != "onnx" else None
    return found or cached_onnx(network, core_of(network), lambda path: _opened(engine, path, "fp32"))


def _opened(engine: EngineName, path: Path, precision: InferencePrecision) -> Run:
    return onnx_run(path) if engine == "onnx" else openvino_run(path, precision)
