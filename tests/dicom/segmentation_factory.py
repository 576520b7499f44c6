"""DICOM Segmentations made with highdicom, of mammograms made with pydicom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

seg = pytest.importorskip("highdicom.seg", reason="needs pyjpegls, which has no build for Python 3.14")

ABNORMAL = Code("49755003", "SCT", "Morphologically Altered Structure")
MASS = Code("4147007", "SCT", "Mass")
CLUSTER = Code("129769006", "SCT", "Calcification Cluster")
BREAST = Code("76752008", "SCT", "Breast")


def write_segmentation(
    path: Path,
    images: Sequence[Path],
    masks: NDArray[Any],
    segments: Sequence[tuple[str, Code]] = (("mass", MASS),),
    kind: str = "BINARY",
) -> Path:
    """Writes a segmentation of mammograms; `masks` has shape (images, H, W, segments)."""
    sources = [_completed(dcmread(image)) for image in images]
    for source in sources:
        source.StudyInstanceUID = sources[0].StudyInstanceUID
        source.SeriesInstanceUID = sources[0].SeriesInstanceUID
        source.PatientID = sources[0].PatientID
    descriptions = [
        seg.SegmentDescription(number, label, ABNORMAL, code, seg.SegmentAlgorithmTypeValues.MANUAL)
        for number, (label, code) in enumerate(segments, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom's advice on names
        segmentation = seg.Segmentation(
            sources,
            masks.astype(np.float32 if kind == "FRACTIONAL" else np.uint8),
            seg.SegmentationTypeValues[kind],
            descriptions,
            generate_uid(),
            1,
            generate_uid(),
            1,
            "maker",
            "model",
            "1",
            "serial",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    segmentation.save_as(path)
    return path


def _completed(dataset: Any) -> Any:
    """With the attributes of patient and study that highdicom copies."""
    dataset.PatientName = "No^Body"
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyDate", "StudyTime", "StudyID"):
        setattr(dataset, keyword, "")
    dataset.ReferringPhysicianName, dataset.Manufacturer = "", "maker"
    dataset.StudyInstanceUID = dataset.get("StudyInstanceUID") or generate_uid()
    dataset.SeriesInstanceUID = dataset.get("SeriesInstanceUID") or generate_uid()
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    return dataset
