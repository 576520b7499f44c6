"""Writing DICOM files whose bytes depend on nothing but their content: fixed UIDs, dates and encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

from mammo_monai.files import atomic_path
from mammo_monai.phantoms.rle import rle_frame
from mammo_monai.phantoms.streams import uid_of

FIXED_DATE = "20200101"
FIXED_TIME = "120000"


def image_dataset(sop_class: UID, sop_instance: UID, study: UID, series: UID) -> Dataset:
    """A data set with what every image object here needs beside its pixels."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.StudyDate = dataset.ContentDate = FIXED_DATE
    dataset.StudyTime = dataset.ContentTime = FIXED_TIME
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.BodyPartExamined = "BREAST"
    return dataset


def write_image(
    path: Path,
    dataset: Dataset,
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    bits_stored: int,
    rle: bool,
) -> None:
    """Adds pixels, shape (H, W), to a data set and writes it atomically, RLE or plain little endian."""
    bits = 8 * pixels.dtype.itemsize
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    if "PhotometricInterpretation" not in dataset:
        dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits_stored, bits_stored - 1
    if rle:
        dataset.PixelData = encapsulate([rle_frame(pixels)])
        dataset["PixelData"].is_undefined_length = True
    else:
        raw = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB" if rle or bits == 8 else "OW"
    dataset.file_meta = _file_meta(dataset, RLELossless if rle else ExplicitVRLittleEndian)
    with atomic_path(path) as part:
        dcmwrite(part, dataset, enforce_file_format=True)


def _file_meta(dataset: Dataset, transfer_syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = uid_of("implementation")
    meta.ImplementationVersionName = "MAMMO_MONAI"
    return meta
