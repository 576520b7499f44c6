"""Small data sets in their own layouts, made by hand: DICOM, tables, property lists."""

from __future__ import annotations

import csv
import plistlib
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
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


def breast_film(width: int, height: int, side: str, seed: int = 0) -> NDArray[np.uint16]:
    """A film in standard display: tissue of all its own against the chest wall, black around it."""
    texture = np.random.default_rng(seed).normal(size=(height, width)).cumsum(axis=0).cumsum(axis=1)
    grey = 20000 + 12000 * texture / np.abs(texture).max()
    rows, columns = np.mgrid[:height, :width] + 0.5
    depth = columns if side.startswith("L") else width - columns
    is_breast = (depth / (0.85 * width)) ** 2 + ((rows - height / 2) / (0.45 * height)) ** 2 < 1
    return np.where(is_breast, grey, 100).astype(np.uint16)


@dataclass
class CbisTree:
    """CBIS-DDSM below `root`, one case at a time, in one of its three downloads.

    Attributes:
        layout: "classic" (TCIA's folders), "nbia" (the Data Retriever's) or "jpeg" (the re-release).
    """

    root: Path
    layout: str = "classic"
    film = staticmethod(breast_film)
    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    files: dict[tuple[str, int, str], Path] = field(default_factory=dict)

    def add(
        self,
        case: str = "Mass-Training_P_00001_RIGHT_CC",
        box: Sequence[int] = (10, 20, 40, 50),
        *,
        abnormality: int = 1,
        size: tuple[int, int] = (60, 90),
        mask: NDArray[Any] | None = None,
        swapped: bool = False,
        pixels: NDArray[Any] | None = None,
        **cells: str,
    ) -> dict[str, str]:
        """Writes image, crop and mask of one abnormality; returns its row, which may be changed."""
        prefix, rest = case.split("_", 1)
        kind, part = prefix.lower().split("-")
        patient, side, view = rest.rsplit("_", 2)
        pixels = breast_film(*size, side, zlib.crc32(rest.encode())) if pixels is None else pixels
        mask = mask_of(*size, box) if mask is None else mask
        crop = pixels[box[1] : box[3], box[0] : box[2]]
        uid = f"1.2.{zlib.crc32(case.encode())}"
        image_uid, series_uid = f"{uid}.3", f"{uid}.5.{abnormality}"
        image = f"{case}/{uid}/{image_uid}/000000.dcm"
        series = f"{case}_{abnormality}/{uid}.4.{abnormality}/{series_uid}"
        self.write(case, 0, "full mammogram images", image_uid, pixels, 1)
        self.write(case, abnormality, "cropped images", series_uid, crop, 2 if swapped else 1)
        self.write(case, abnormality, "ROI mask images", series_uid, mask, 1 if swapped else 2)
        values = [patient, "3", side, view, str(abnormality), "mass" if kind == "mass" else "calcification"]
        values += ["OVAL", "OBSCURED", "4", "BENIGN", "2", image]
        values += [f"{series}/000000.dcm", f"{series}/000001.dcm\n"]
        row = dict(zip(CASE_HEADER, values, strict=True)) | cells
        self.rows.setdefault(f"{kind}_case_description_{part.replace('ing', '')}_set.csv", []).append(row)
        return row

    def write(
        self, case: str, abnormality: int, description: str, series: str, pixels: NDArray[Any], number: int
    ) -> Path:
        """Writes one image where the layout has it; `file` finds it again."""
        label = f"{case}_{abnormality}" if abnormality else case
        path = self.root / self._place(label, case, series, number)
        if self.layout == "jpeg":
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
            Image.fromarray(grey).save(path, quality=90)
        else:
            names = {"SeriesInstanceUID": series, "PatientID": label, "SeriesDescription": description}
            side, view = case.split("_")[-2:]
            write_dicom(path, pixels, ImageLaterality=side[0], ViewPosition=view, **names)
        self.files[case, abnormality, description.split(maxsplit=1)[0].lower()] = path
        return path

    def _place(self, label: str, case: str, series: str, number: int) -> str:
        if self.layout == "jpeg":
            return f"jpeg/{series}/{number}-{zlib.crc32(label.encode()) % 999:03d}.jpg"
        if self.layout == "nbia":
            shown = "full mammogram images" if label == case else "ROI mask images"
            code = f"{zlib.crc32(series.encode()) % 99999:05d}"
            return f"CBIS-DDSM/{label}/10-04-2016-DDSM-NA-{code}/1.000000-{shown}-{code}/1-{number}.dcm"
        study = f"1.2.{zlib.crc32(case.encode())}" + (
            f".4.{label.rsplit('_', 1)[1]}" if label != case else ""
        )
        return f"{label}/{study}/{series}/{number - 1:06d}.dcm"

    def file(self, case: str, kind: str = "full", abnormality: int = 1) -> Path:
        """The file of a case's "full" image, or of an abnormality's "cropped" or "roi" image."""
        return self.files[case, 0 if kind == "full" else abnormality, kind]

    def write_tables(
        self, *, newline: str = "\r\n", encoding: str = "utf-8", header: Sequence[str] = ()
    ) -> Path:
        """Writes the tables as they stand now, both of masses in any case; returns the root."""
        folder = self.root / "csv" if self.layout == "jpeg" else self.root
        folder.mkdir(parents=True, exist_ok=True)
        both = [f"mass_case_description_{part}_set.csv" for part in ("train", "test")]
        for name in dict.fromkeys([*both, *self.rows]):
            with (folder / name).open("w", newline="", encoding=encoding) as stream:
                writer = csv.writer(stream, lineterminator=newline)
                writer.writerow(header or CASE_HEADER)
                writer.writerows(row.values() for row in self.rows.get(name, []))
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

    HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"

    def write_table(self) -> Path:
        """Writes INbreast.csv as it stands now; returns the root."""
        (self.root / "AllXML").mkdir(parents=True, exist_ok=True)
        (self.root / "INbreast.csv").write_bytes("\r\n".join([self.HEADER, *self.rows, ""]).encode())
        return self.root

    def write_workbook(self, marks: Sequence[str] = ()) -> Path:
        """Writes INbreast.xls with numbers as numbers and totals below; `marks` fill the column Mass."""
        (self.root / "AllXML").mkdir(parents=True, exist_ok=True)
        table = [[*self.HEADER.split(";"), "Mass "]]
        marks = [*marks, *[""] * len(self.rows)][: len(self.rows)]
        table += [[*row.split(";"), mark] for row, mark in zip(self.rows, marks, strict=True)]
        totals = ["", "", "", "", "", "", "28", "49", "108"]
        (self.root / "INbreast.xls").write_bytes(workbook_bytes([*table, [""] * 9, totals]))
        return self.root


def workbook_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    """A sheet in BIFF2, the oldest format of .xls: records of kind, length, row, column, value."""

    def record(kind: int, payload: bytes) -> bytes:
        return struct.pack("<HH", kind, len(payload)) + payload

    content = record(0x0009, struct.pack("<HH", 2, 0x10))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            place = struct.pack("<HH3x", row, column)
            if cell.isdigit():
                content += record(0x0003, place + struct.pack("<d", float(cell)))
            elif cell:
                content += record(0x0004, place + struct.pack("<B", len(cell)) + cell.encode("cp1252"))
    return content + record(0x000A, b"")


VINDR_HEADER = (
    "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,"
    "finding_categories,finding_birads,xmin,ymin,xmax,ymax,split"
)
VINDR_COLUMNS = VINDR_HEADER.split(",")


@dataclass
class VindrTree:
    """VinDr-Mammo below `root`, one row at a time."""

    root: Path
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(
        self,
        image: str = "a1",
        categories: str = "['Mass']",
        box: Sequence[float] | None = (10.5, 20.25, 30.0, 44.5),
        *,
        study: str = "s1",
        size: tuple[int, int] = (60, 90),
        **cells: str,
    ) -> dict[str, str]:
        """Adds a row, which may be changed until the tables are written; no image."""
        values = [study, f"series of {image}", image, "R", "CC", str(size[1]), str(size[0])]
        values += ["BI-RADS 4", "DENSITY C", categories, "BI-RADS 4" if box else ""]
        values += [*(str(side) for side in box or [""] * 4), "training"]
        row = dict(zip(VINDR_COLUMNS, values, strict=True)) | cells
        self.rows.append(row)
        return row

    def add_image(
        self, image: str = "a1", *, study: str = "s1", size: tuple[int, int] = (60, 90), **tags: object
    ) -> Path:
        """Writes the DICOM file of an image."""
        path = self.root / "images" / study / f"{image}.dicom"
        return write_dicom(path, film(*size), **({"ImagerPixelSpacing": [0.07, 0.05]} | tags))

    def write_tables(self, *, with_breasts: bool = False) -> Path:
        """Writes finding_annotations.csv as it stands now; returns the root."""
        tables = {"finding_annotations.csv": (VINDR_COLUMNS, self.rows)}
        if with_breasts:
            columns = [*VINDR_COLUMNS[:9], "split"]
            by_image = {row["image_id"]: row for row in self.rows}
            tables["breast-level_annotations.csv"] = (columns, [*by_image.values()])
        self.root.mkdir(parents=True, exist_ok=True)
        for name, (columns, rows) in tables.items():
            with (self.root / name).open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
        return self.root


@pytest.fixture
def vindr(tmp_path: Path) -> VindrTree:
    return VindrTree(tmp_path / "vindr-mammo")


@pytest.fixture
def cbis(tmp_path: Path) -> CbisTree:
    return CbisTree(tmp_path / "CBIS-DDSM")


@pytest.fixture
def inbreast(tmp_path: Path) -> InbreastTree:
    return InbreastTree(tmp_path / "INbreast")


@pytest.fixture
def dicom_writer() -> Callable[..., Path]:
    return write_dicom
