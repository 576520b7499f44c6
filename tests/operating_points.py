"""An operating_points.json as a test wants it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mammo_monai.schema import (
    Calibration,
    OperatingPoint,
    OperatingPoints,
    PlattCurve,
    write_operating_points,
)

POINTS = OperatingPoints(
    points=(OperatingPoint(0.25, 0.7, 0.6, 0.5, 0.7),),
    calibration=Calibration(PlattCurve(1.0, 0.0), 0.1, 0.05, ()),
    rule={"label": 0},
    n_images=4,
    n_lesions=3,
    n_patients=2,
    manifest_sha256="c" * 64,
    weights_sha256=(None,),
    inference={"inferer": "FullImageInferer"},
)


def write_points(path: Path, **changes: Any) -> Path:
    """Writes `POINTS` with some fields replaced."""
    write_operating_points(path, replace(POINTS, **changes))
    return path
