"""ONNX Runtime: an exported core computed on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mammo_monai.errors import WeightsError

if TYPE_CHECKING:
    from mammo_monai.inference.runtimes.cores import Run


def onnx_run(path: Path) -> Run:
    """What computes the core of an .onnx file, with as many threads as torch has now.

    Raises:
        WeightsError: ONNX Runtime cannot read the file.
    """
    import onnxruntime  # noqa: PLC0415  # an extra

    onnxruntime.disable_telemetry_events()  # Windows builds send them
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes derive from nothing narrower
        raise WeightsError(f"{path}: ONNX Runtime cannot read it: {error}. Export it again.") from error
    name = session.get_inputs()[0].name

    def run(normalised: Tensor) -> list[Tensor]:
        found = session.run(None, {name: normalised.detach().float().contiguous().numpy()})
        return [torch.from_numpy(each) for each in found]

    return run
