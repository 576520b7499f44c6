"""A marker that needs no model: one box whose place follows from the image's size; breaks when it is told to.

What the image's Series Description says happens to it: "crash" ends the process, "hang" sleeps, "error"
raises an unexpected error, "unreadable" one of our own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom import dcmread

from mammo_monai.errors import BundleError, DicomError
from mammo_monai.records import Detections

WEIGHTS = "0123456789abcdef" * 4


def fake_marker(bundle: str, *, fppi: float | None, weights: Path | None, overrides: Mapping[str, object]):
    """As `load_marker`; `overrides` may hold `sleep_s`."""
    if bundle == "broken":
        raise BundleError("broken: expected a bundle, got none.")
    sleep_s = float(overrides.get("sleep_s", 0))  # type: ignore[arg-type]  # a number, by the test

    def mark(path: Path, *, record_id: str) -> Detections:
        header = dcmread(path, stop_before_pixels=True)
        order = header.get("SeriesDescription", "")
        if order == "crash":
            os.abort()
        if order == "hang":
            time.sleep(60)
        if order == "error":
            raise RuntimeError("CUDA out of memory near patient-7")
        if order == "unreadable":
            raise DicomError(f"{path}: expected a film, got a fog. Send another.")
        time.sleep(sleep_s)
        rows, columns = header.Rows, header.Columns
        if order == "nothing":
            return Detections(record_id)
        boxes = np.array([[columns / 5, rows / 3, columns / 2, rows / 1.5]])
        return Detections(record_id, boxes, np.array([0.75]), np.array([0]), probabilities=np.array([0.5]))

    mark.model = {  # type: ignore[attr-defined]  # as a Marker has it
        "bundle": "fake",
        "version": "1.0.0",
        "weights_sha256": WEIGHTS,
        "software": "mammo-monai tests",
        "operating_point": {"fppi": 0.5, "threshold": 0.25},
    }
    return mark
