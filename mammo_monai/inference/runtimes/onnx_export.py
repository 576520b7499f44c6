"""A network's core as an ONNX file of free batch, height and width, compared with torch."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mammo_monai.errors import WeightsError
from mammo_monai.inference.runtimes.cores import example_inputs

if TYPE_CHECKING:
    from mammo_monai.inference.runtimes.cores import BackboneMaps, HeadMaps, Run

OPSET = 17
INPUT = "normalised"
# Of the largest number of a map; what float32 convolutions in another order differ by is below 1e-5.
MAX_RELATIVE_DIFFERENCE = 1e-3


def write_onnx(core: HeadMaps | BackboneMaps, path: Path) -> None:
    """Exports the core to `path` and checks the file; `check_equal` compares what an engine makes of it.

    torch's TorchScript exporter: free sizes and equal maps from torch 2.6 on, in a ninth of the time that the
    `torch.export` one takes on this network.

    Raises:
        OSError: the file cannot be written.
    """
    import onnx  # noqa: PLC0415  # an extra

    names = [f"map_{index}" for index in range(core.n_outputs)]
    free = {name: {0: "batch", 2: f"{name}_rows", 3: f"{name}_cols"} for name in (INPUT, *names)}
    exported = core.eval()
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # it traces shapes, and is told to be replaced some day
            torch.onnx.export(
                exported,
                (example_inputs(core)[0],),
                str(path),
                input_names=[INPUT],
                output_names=names,
                dynamic_axes=free,
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    onnx.checker.check_model(str(path), full_check=False)


def check_equal(core: HeadMaps | BackboneMaps, run: Run, where: str) -> float:
    """The largest difference of any map to torch's, relative to the map's largest number.

    Raises:
        WeightsError: it is above `MAX_RELATIVE_DIFFERENCE`, or not a number.
    """
    worst = max(largest_difference(core, run, each) for each in example_inputs(core))
    if not worst <= MAX_RELATIVE_DIFFERENCE:
        raise WeightsError(
            f"{where}: maps differ from torch's by {worst:.2g} of their largest number, expected at most "
            f"{MAX_RELATIVE_DIFFERENCE:g}. Nothing was kept; take engine torch, and report the versions of "
            "torch and of the engine."
        )
    return worst


def largest_difference(core: HeadMaps | BackboneMaps, run: Run, normalised: torch.Tensor) -> float:
    """Over all maps of one input, relative to each map's largest absolute number."""
    with torch.inference_mode():
        expected, found = core(normalised), run(normalised)
    shares = [
        float((one - other).abs().max() / one.abs().max().clamp_min(1e-6))
        for one, other in zip(expected, found, strict=True)
    ]
    return float("nan") if any(map(math.isnan, shares)) else max(shares)  # max() may lose a NaN
