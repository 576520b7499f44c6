"""Engines: what computes a network in inference. torch, its compiler, ONNX Runtime or OpenVINO."""

from mammo_monai.inference.runtimes.choice import (
    EngineName,
    InferencePrecision,
    check_choice_of_engine,
    torch_precision,
)
from mammo_monai.inference.runtimes.cores import head_maps
from mammo_monai.inference.runtimes.exported import note_exported_models
from mammo_monai.inference.runtimes.seam import on_engine

__all__ = [
    "EngineName",
    "InferencePrecision",
    "check_choice_of_engine",
    "head_maps",
    "note_exported_models",
    "on_engine",
    "torch_precision",
]
