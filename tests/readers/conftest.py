"""Small data sets in their own layouts, made by hand: DICOM, tables, property lists."""

from __future__ import annotations

import csv
import plistlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CASE_HEADER = [
    "patient_id",
    "breast_density",
    "left or right breast",
    "image view",
    "abnormality id",
    "abnormality type",
    "mass shape",
    "mass margins",
    "assessment",
    "pathology",
    "subtlety",
    "image file path",
    "cropped image file path",
    "ROI mask file path",
]
CONTOUR = ((10.5, 20.25), (30.0, 18.0), (28.0, 44.5))
MG_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"


def write_dicom(path: Path, pixels: NDArray[Any], **tags: object) -> Path:
    """A mammography object with these pixels, shape (H, W)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MG_FOR_PRESENTATION
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PatientID = "somebody"
    dataset.Rows, dataset.Columns = pixels.shape
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    if dataset.SOPInstanceUID:
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=bool(dataset.SOPInstanceUID))
    return path


def film(width: int, height: int) -> NDArray[np.uint16]:
    """A picture with many grey values."""
    return (np.arange(width * height, dtype=np.uint16) * 7 % 4093).reshape(height, width)


def mask_of(width: int, height: int, box: Sequence[int]) -> NDArray[np.uint8]:
    """255 inside the half-open box `(x_min, y_min, x_max, y_max)`, 0 outside."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    return mask


@dataclass
class CbisTree:
    """CBIS-DDSM below `root`, one case at a time."""

    root: Path
    rows: dict[str, list[dict[str, str]]] = field(default_factory=lambda: {"train": [], "test": []})

    def add(
        self,
        case: str = "Mass-Training_P_00001_RIGHT_CC",
        box: Sequence[int] = (10, 20, 40, 50),
        *,
        abnormality: int = 1,
        size: tuple[int, int] = (60, 90),
        mask: NDArray[Any] | None = None,
        swapped: bool = False,
        **cells: str,
    ) -> dict[str, str]:
        """Writes image, crop and mask of one abnormality; returns its row, which may be changed."""
        kind, patient, side, view = case.split("_", 1)[0], *case.split("_", 1)[1].rsplit("_", 2)
        image = f"{case}/1.2.{len(case)}/1.2.3/000000.dcm"
        series = f"{case}_{abnormality}/1.4.{abnormality}/1.5.{abnormality}"
        write_dicom(self.root / image, film(*size), ImageLaterality=side[0])
        crop_name, mask_name = ("000001.dcm", "000000.dcm") if swapped else ("000000.dcm", "000001.dcm")
        write_dicom(self.root / series / crop_name, film(box[2] - box[0], box[3] - box[1]))
        mask = mask_of(*size, box) if mask is None else mask
        write_dicom(self.root / series / mask_name, mask)
        values = [
            patient,
            "3",
            side,
            view,
            str(abnormality),
            "mass",
            "OVAL",
            "OBSCURED",
            "4",
            "BENIGN",
            "2",
            image,
        ]
        values += [f"{series}/000000.dcm", f"{series}/000001.dcm\n"]
        row = dict(zip(CASE_HEADER, values, strict=True)) | cells
        self.rows["train" if "Training" in kind else "test"].append(row)
        return row

    def write_tables(
        self, *, newline: str = "\r\n", encoding: str = "utf-8", header: Sequence[str] = ()
    ) -> Path:
        """Writes both tables as they stand now; returns the root."""
        for name, rows in self.rows.items():
            path = self.root / f"mass_case_description_{name}_set.csv"
            with path.open("w", newline="", encoding=encoding) as stream:
                writer = csv.writer(stream, lineterminator=newline)
                writer.writerow(header or CASE_HEADER)
                writer.writerows(row.values() for row in rows)
        return self.root


@dataclass
class InbreastTree:
    """INbreast below `root`, one image at a time."""

    root: Path
    rows: list[str] = field(default_factory=list)

    def add(
        self,
        number: int = 10000001,
        regions: Sequence[tuple[str, Sequence[Sequence[float]]]] | None = (("Mass", CONTOUR),),
        *,
        patient: str = "0123456789abcdef",
        laterality: str = "R",
        view: str = "CC",
        size: tuple[int, int] = (60, 90),
        cells: str = "2;4a",
        **tags: object,
    ) -> None:
        """Writes one image, its regions (None: no XML file) and its row."""
        name = f"{number}_{patient}_MG_{laterality}_{view.replace('MLO', 'ML')}_ANON.dcm"
        spacing = {"PixelSpacing": [0.07, 0.05], "ImagerPixelSpacing": [0.07, 0.05]}
        write_dicom(self.root / "AllDICOMs" / name, film(*size), **(spacing | tags))
        self.rows.append(f"removed;removed;{laterality};{view};201001;{number};{cells}")
        if regions is not None:
            self.write_xml(number, regions)

    def write_xml(self, number: int, regions: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> Path:
        """Writes the OsiriX property list of one image."""
        rois = [
            {
                "Name": name,
                "NumberOfPoints": len(points),
                "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
            }
            for name, points in regions
        ]
        path = self.root / "AllXML" / f"{number}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plistlib.dumps({"Images": [{"ImageIndex": 0, "ROIs": rois}]}))
        return path

    def write_table(self) -> Path:
        """Writes INbreast.csv as it stands now; returns the root."""
        header = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
        (self.root / "AllXML").mkdir(parents=True, exist_ok=True)
        (self.root / "INbreast.csv").write_bytes("\r\n".join([header, *self.rows, ""]).encode())
        return self.root


@pytest.fixture
def cbis(tmp_path: Path) -> CbisTree:
    return CbisTree(tmp_path / "CBIS-DDSM")


@pytest.fixture
def inbreast(tmp_path: Path) -> InbreastTree:
    return InbreastTree(tmp_path / "INbreast")


@pytest.fixture
def dicom_writer() -> Callable[..., Path]:
    return write_dicom
