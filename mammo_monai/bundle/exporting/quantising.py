"""8-bit integers: NNCF's post-training quantisation of an exported core, calibrated on images."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mammo_monai.errors import BundleError, MammoError
from mammo_monai.inference.runtimes.openvino_model import silence_telemetry

MIN_IMAGES = 8


def write_openvino(onnx: Path, path: Path, calibration: Sequence[Tensor] | None = None) -> None:
    """Writes an .onnx core as OpenVINO's `path` (.xml, and .bin beside it), float32 or 8-bit integers.

    Args:
        calibration: normalised images (B, 3, H, W) as the network sees them; None keeps float32.

    Raises:
        BundleError: too few images. MammoError: nncf is not installed.
    """
    silence_telemetry()
    import openvino  # noqa: PLC0415  # an extra

    model = openvino.Core().read_model(str(onnx))
    if calibration is not None:
        model = _quantised(model, calibration)
    openvino.save_model(model, str(path), compress_to_fp16=False)


def _quantised(model: object, calibration: Sequence[Tensor]) -> object:
    if len(calibration) < MIN_IMAGES:
        raise BundleError(
            f"8-bit integers need at least {MIN_IMAGES} images to measure the range of every layer, got "
            f"{len(calibration)}; about a hundred are usual. Name a larger manifest, or another --split."
        )
    # It speaks on stdout, which is for results.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            import nncf  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise MammoError(
                "8-bit integers need the package nncf: pip install 'mammo-monai[openvino]'."
            ) from error
        nncf.set_log_level(logging.ERROR)
        images = nncf.Dataset([each.numpy() for each in calibration])
        # Mixed: symmetric weights, asymmetric activations; hard-wired ranges of ReLU6 lie on one side of 0.
        return nncf.quantize(
            model, images, preset=nncf.QuantizationPreset.MIXED, subset_size=len(calibration)
        )
