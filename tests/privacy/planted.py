"""Mammograms with a marker in every element that the DICOM dictionary knows, and in some it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from tests.dicom_factory import mammogram_dataset

DATE, TIME, AGE, HOST = "19471113", "134759.871623", "087Y", "qz99999zq.invalid"
UID_ROOT = "1.2.999.777"
FOLDER, FILE = "QZ90001ZQ^MARKER", "QZ90002ZQ"
PATH_MARKERS = frozenset({"QZ90001ZQ", "QZ90002ZQ"})
PATTERN = re.compile(
    rb"QZ\d{5}ZQ|1\.2\.999\.777\.\d+|1947[-./ ]?11[-./ ]?13|13[-./ ]11[-./ ]1947|134759|13:47:59|777123\d{3}",
    re.IGNORECASE,
)
"""A text, a UID, a date in three orders, a time of day, or a number that was planted."""

# What makes the pixels readable; a marker here would say nothing about privacy and spoil the image.
_UNPLANTED = (
    "SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality "
    "PresentationIntentType Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated "
    "BitsStored HighBit PixelRepresentation PlanarConfiguration NumberOfFrames PixelData "
    "FloatPixelData DoubleFloatPixelData PixelDataProviderURL ExtendedOffsetTable "
    "ExtendedOffsetTableLengths ModalityLUTSequence VOILUTSequence VOILUTFunction WindowCenter "
    "WindowWidth RescaleIntercept RescaleSlope RescaleType PresentationLUTShape "
    "PresentationLUTSequence PixelSpacing ImagerPixelSpacing "
    "EstimatedRadiographicMagnificationFactor NominalScannedPixelSpacing PixelAspectRatio "
    "ImageLaterality ViewPosition PatientOrientation PixelPaddingValue PixelPaddingRangeLimit "
    "Laterality FrameLaterality LengthToEnd DataSetTrailingPadding ViewCodeSequence "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence SpecimenDescriptionSequence"
)
_NEEDED = frozenset(_UNPLANTED.split())
_TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}
_BYTES = {"OB", "OW", "UN", "OB or OW"}


@dataclass(frozen=True)
class Planted:
    """A file with markers. Attributes: names: by marker, what element carries it."""

    path: Path
    names: dict[str, str]


class Markers:
    """Hands out a marker for each element and remembers which is whose."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def text(self, name: str) -> str:
        marker = f"QZ{len(self.names):05d}ZQ"
        self.names[marker] = name
        return marker

    def uid(self, name: str) -> str:
        marker = f"{UID_ROOT}.1{len(self.names):05d}"
        self.names[marker] = name
        return marker


def planted_dataset(markers: Markers, *, number: int, pixels: NDArray[np.integer]) -> Dataset:
    """A right MLO whose every other element of the dictionary, 4000 and more, carries a marker."""
    dataset = mammogram_dataset(pixels)
    for tag, vr, name in _dictionary():
        _plant(dataset, tag, vr, name, markers)
    for keyword, uid in (("SOPInstanceUID", number), ("StudyInstanceUID", 900), ("SeriesInstanceUID", 901)):
        setattr(dataset, keyword, f"{UID_ROOT}.9{uid:04d}")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageLaterality, dataset.ViewPosition = "R", "MLO"
    dataset.PixelSpacing = dataset.ImagerPixelSpacing = ["0.5", "0.5"]
    dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope, dataset.RescaleIntercept = (
        "6000",
        "9000",
        1,
        0,
    )
    _plant_private(dataset, markers)
    meta = dataset.file_meta
    for keyword in (
        "SourceApplicationEntityTitle",
        "SendingApplicationEntityTitle",
        "ReceivingApplicationEntityTitle",
    ):
        setattr(meta, keyword, markers.text(f"file meta {keyword}"))
    meta.PrivateInformationCreatorUID = markers.uid("file meta PrivateInformationCreatorUID")
    meta.PrivateInformation = markers.text("file meta PrivateInformation").encode() + b" "
    meta.ImplementationVersionName = markers.text("file meta ImplementationVersionName")
    return dataset


def plant_file(
    path: Path, *, number: int, pixels: NDArray[np.integer] | None = None, patient: str | None = None
) -> Planted:
    """Writes such a mammogram, with markers in the preamble and in trailing padding."""
    markers = Markers()
    dataset = planted_dataset(markers, number=number, pixels=breast() if pixels is None else pixels)
    if patient is not None:
        dataset.PatientID = patient
    dataset.preamble = (markers.text("preamble").encode() * 20)[:128].ljust(128, b"\0")
    dataset.add_new(0xFFFCFFFC, "OB", markers.text("DataSetTrailingPadding").encode() + b" ")
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return Planted(path, markers.names)


def breast() -> NDArray[np.uint16]:
    """A right breast with one bright disk, 260 × 180 pixels."""
    rows, columns = np.mgrid[:260, :180]
    inside = ((rows - 130) / 120) ** 2 + ((columns - 180) / 130) ** 2 < 1
    disk = (rows - 140) ** 2 + (columns - 120) ** 2 < 16**2
    return (inside * 5000 + (disk & inside) * 6000 + (rows * 7 + columns * 13) % 300).astype(np.uint16)


def _dictionary() -> Iterator[tuple[int, str, str]]:
    for number, (vr, *_, keyword) in DicomDictionary.items():
        group = number >> 16
        if group in (0x0000, 0x0002, 0xFFFE) or keyword in _NEEDED or number & 0xFFFF == 0:
            continue
        yield number, vr, keyword or f"({group:04X},{number & 0xFFFF:04X})"
    for mask, (vr, *_, keyword) in RepeatersDictionary.items():
        number = int(mask.replace("x", "0"), 16)
        if keyword and number >> 16 and number & 0xFFFF:
            yield number, vr, keyword


def _plant(dataset: Dataset, number: int, vr: str, name: str, markers: Markers) -> None:
    tag = Tag(number)
    vr = vr.split(" or ", maxsplit=1)[0] if vr not in _BYTES else vr
    if vr == "SQ":
        dataset.add_new(tag, "SQ", Sequence([_item(name, markers)]))
    elif vr in _TEXT:
        dataset.add_new(tag, vr, markers.text(name))
    elif vr == "UI":
        dataset.add_new(tag, vr, markers.uid(name))
    elif vr in ("OB", "OW", "UN", "OB or OW"):
        dataset.add_new(tag, "OW" if vr == "OW" else "OB", markers.text(name).encode() + b" ")
    else:
        value = {
            "DA": DATE, "TM": TIME, "DT": DATE + TIME, "AS": AGE, "UR": f"http://{HOST}/x",
            "DS": "777123.001", "IS": "777123001", "FD": 777123001.0, "FL": 777123.0,
            "SL": 777123001, "UL": 777123001, "SV": 777123001, "UV": 777123001,
            "AT": Tag(0x00100010), "US": 61457, "SS": 31457,
        }.get(vr)  # fmt: skip
        if value is not None:
            dataset.add_new(tag, vr, value)


def _item(name: str, markers: Markers) -> Dataset:
    """An item with a name, an id, a date and another item, as any sequence may carry."""
    item, inner = Dataset(), Dataset()
    item.PatientName, item.PatientID = (
        markers.text(f"{name} > PatientName"),
        markers.text(f"{name} > PatientID"),
    )
    item.StudyDate = DATE
    inner.AccessionNumber = markers.text(f"{name} > item > AccessionNumber")
    inner.SOPInstanceUID = markers.uid(f"{name} > item > SOPInstanceUID")
    item.ReferencedStudySequence = Sequence([inner])
    return item


def _plant_private(dataset: Dataset, markers: Markers) -> None:
    for group in (0x0009, 0x0011, 0x0019, 0x0029):
        block = dataset.private_block(group, markers.text(f"private creator {group:04X}"), create=True)
        block.add_new(0x01, "LO", markers.text(f"private {group:04X} LO"))
        block.add_new(0x02, "UN", markers.text(f"private {group:04X} UN").encode() + b" ")
        block.add_new(0x03, "SQ", Sequence([_item(f"private {group:04X}", markers)]))
        block.add_new(0x04, "DA", DATE)
