"""OpenVINO: an exported core on the CPU, in float32, bfloat16 or 8-bit integers. It sends nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mammo_monai.errors import WeightsError

if TYPE_CHECKING:
    from mammo_monai.inference.runtimes.choice import InferencePrecision
    from mammo_monai.inference.runtimes.cores import Run

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # int8: of the layers that are not quantised


def silence_telemetry() -> None:
    """Keeps openvino and nncf from sending usage statistics, for the rest of the process.

    Both send through the package `openvino_telemetry` and do without where it cannot be imported; nncf leaves
    it alone where NNCF_CI is set. Call it before either is imported.

    Source: openvino/tools/ovc/telemetry_utils.py and nncf/telemetry/wrapper.py of both packages.
    """
    os.environ["NNCF_CI"] = "1"
    loaded = sys.modules.get("openvino_telemetry")
    if loaded is not None:  # somebody imported it already: its sender is taken away
        telemetry = getattr(loaded, "Telemetry", None)
        for name in ("send_event", "start_session", "end_session", "send_error", "send_stack_trace"):
            if telemetry is not None and hasattr(telemetry, name):
                setattr(telemetry, name, _silent)
        return
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes its import fail


def openvino_run(path: Path, precision: InferencePrecision) -> Run:
    """What computes the core of an .onnx or .xml file, with as many threads as torch has now.

    Compiled once with free sizes: a model per size is 5 to 10 % faster and takes seconds for every new size.

    Args:
        precision: bf16 is computed where the CPU has it, else float32.

    Raises:
        WeightsError: OpenVINO cannot read the file.
    """
    silence_telemetry()
    import openvino  # noqa: PLC0415  # an extra

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # several processes on one machine would share the first cores
    }
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(f"{path}: OpenVINO cannot read it: {reason}. Export it again.") from error
    lock = Lock()  # one request, whose outputs the next call overwrites

    def run(normalised: Tensor) -> list[Tensor]:
        pixels = normalised.detach().float().contiguous().numpy()
        with lock:
            found = compiled([pixels], share_inputs=True, share_outputs=False)
            return [torch.from_numpy(found[index]) for index in range(len(compiled.outputs))]

    return run


def _silent(*_: object, **__: object) -> None:
    """Sends nothing."""
