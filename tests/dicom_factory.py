"""Mammograms made in memory with pydicom, in the flavours that real files come in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

SOP_INSTANCE_UID = "1.2.826.0.1.3680043.8.498.1"
MAMMOGRAM_CLASS = DigitalMammographyXRayImageStorageForPresentation


def grey_ramp(
    shape: tuple[int, int] = (6, 10), bits: int = 14, *, signed: bool = False
) -> NDArray[np.integer]:
    """Values from the lowest to the highest the bits can hold, row by row; non-square."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    size = 1 if bits <= 8 else 2
    values = np.linspace(low, high, shape[0] * shape[1]).round().reshape(shape)
    return values.astype(f"{'i' if signed else 'u'}{size}")


def mammogram_dataset(
    pixels: NDArray[np.integer],
    *,
    bits_stored: int = 14,
    photometric: str = "MONOCHROME2",
    syntax: UID = ExplicitVRLittleEndian,
    sop_class: UID = MAMMOGRAM_CLASS,
    tags: Mapping[str, object] | None = None,
) -> Dataset:
    """A digital mammogram with these stored values, shape (H, W); a tag of None removes it.

    `syntax` may be any uncompressed one, deflated included, RLE, or one pydicom has an encoder installed for.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID(SOP_INSTANCE_UID)
    dataset.Modality, dataset.PatientID, dataset.PatientName = "MG", "patient-7", "Nobody"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.dtype.itemsize, bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    raw = pixels.astype(pixels.dtype.newbyteorder("<" if syntax.is_little_endian else ">")).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize == 2 else "OB"
    for keyword, value in (tags or {}).items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    if syntax.is_encapsulated:
        dataset.compress(syntax)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(SOP_INSTANCE_UID)
    return dataset


def write_mammogram(path: Path, pixels: NDArray[np.integer] | None = None, **options: object) -> Path:
    """Writes `mammogram_dataset` (a 14-bit ramp when no pixels are given) as a file; returns its path."""
    dataset = mammogram_dataset(grey_ramp() if pixels is None else pixels, **options)  # type: ignore[arg-type]
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_scanned_film(path: Path, pixels: NDArray[np.integer] | None = None, **tags: object) -> Path:
    """A film as public scans come: secondary capture, RLE, 16 bits, no intent, view in the wrong tag."""
    film = {"PresentationIntentType": None, "PatientOrientation": "MLO", "Laterality": "R", **tags}
    return write_mammogram(
        path,
        grey_ramp(bits=16) if pixels is None else pixels,
        bits_stored=16,
        syntax=RLELossless,
        sop_class=SecondaryCaptureImageStorage,
        tags=film,
    )


def write_bare(path: Path, dataset: Dataset, *, implicit: bool = False, little: bool = True) -> Path:
    """A data set without preamble and file meta information."""
    bare = Dataset()
    bare.update({element.tag: element for element in dataset})
    bare.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    return path


def lut_item(entries: NDArray[np.integer], *, first: int = 0, bits: int = 16, vr: str = "US") -> Sequence:
    """A sequence with one LUT; `vr` is "US" (numbers) or "OW" (bytes; 8-bit entries are packed)."""
    item = Dataset()
    count = len(entries) % 65536
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    if vr == "US":
        item.add_new("LUTData", "US", [int(entry) for entry in entries])
    else:
        raw = entries.astype("u1" if bits <= 8 else "<u2").tobytes()
        item.add_new("LUTData", "OW", raw + b"\0" * (len(raw) % 2))
    return Sequence([item])


def code_item(value: str, scheme: str = "SCT") -> Sequence:
    """A code sequence with one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "a view"
    return Sequence([item])


def write_breast(path: Path) -> Path:
    """Writes a right breast of 420 × 260 px with one bright disk; returns its path."""
    rows, columns = np.mgrid[:420, :260]
    breast = ((rows - 200) / 190) ** 2 + ((columns - 260) / 180) ** 2 < 1
    disk = (rows - 230) ** 2 + (columns - 170) ** 2 < 22**2
    pixels = breast * 5000 + (disk & breast) * 6000 + (rows * 7 + columns * 13) % 300
    return write_mammogram(path, pixels.astype(np.uint16))
