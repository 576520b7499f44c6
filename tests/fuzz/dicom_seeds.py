"""Small valid DICOM files, made in memory: mammograms in every encoding, segmentations, our own results."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SegmentationStorage,
)

from mammo_monai.dicom.results import MarkedImage, build_result
from mammo_monai.records import Detections
from tests.dicom.results.sources import MODEL, detections, digital_mammogram, marked
from tests.dicom_factory import code_item, grey_ramp, lut_item, mammogram_dataset

SHAPE = (12, 20)
_CREATED = datetime(2026, 1, 2, 3, 4, 5)
_IMAGE_UID = "1.2.826.0.1.3680043.8.498.9"


def mammogram_seeds() -> Sequence[bytes]:
    """Mammograms of 12 × 20 pixels: each transfer syntax, LUTs, padding, signs, depth, no preamble."""
    pixels = grey_ramp(SHAPE)
    whole = file_bytes(mammogram_dataset(pixels))
    window: dict[str, object] = {
        "WindowCenter": "8000",
        "WindowWidth": "12000",
        "RescaleSlope": "2",
        "RescaleIntercept": "-5",
    }
    luts = {
        "VOILUTSequence": lut_item(np.arange(0, 4096, 16), first=10, bits=12),
        "ModalityLUTSequence": lut_item(np.arange(256), bits=8, vr="OW"),
    }
    padding: dict[str, object] = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 9}
    deep = {"SourceImageSequence": _nested(6), "ViewCodeSequence": code_item("399368009")}
    seeds = [
        whole,
        whole[132:],
        file_bytes(digital_mammogram(SHAPE)),
        *(
            file_bytes(mammogram_dataset(pixels, syntax=syntax))
            for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
        ),
        file_bytes(mammogram_dataset(pixels, syntax=RLELossless)),
        file_bytes(mammogram_dataset(grey_ramp(SHAPE, bits=8), bits_stored=8, syntax=RLELossless)),
        file_bytes(mammogram_dataset(pixels, photometric="MONOCHROME1", tags=window | padding)),
        file_bytes(mammogram_dataset(pixels, tags=luts)),
        file_bytes(mammogram_dataset(grey_ramp(SHAPE, 12, signed=True), bits_stored=12, tags=window)),
        file_bytes(mammogram_dataset(pixels, tags=deep)),
        *_compressed(),
    ]
    return seeds


def compressed_seeds() -> Sequence[bytes]:
    """Mammograms whose pixels a decoder must unpack: run lengths and the JPEG family."""
    pixels = grey_ramp(SHAPE)
    noise = np.random.default_rng(5).integers(0, 16384, SHAPE).astype(np.uint16)
    return [
        *(file_bytes(mammogram_dataset(each, syntax=RLELossless)) for each in (pixels, noise)),
        *_compressed(),
    ]


def segmentation_seeds() -> Sequence[bytes]:
    """Segmentations of two segments: packed, fractional, a label map, run-length encoded; and our own."""
    seeds = [file_bytes(build_result("seg", [_small_marked()], MODEL, created=_CREATED))]
    kinds = (("BINARY", None), ("FRACTIONAL", None), ("LABELMAP", None), ("FRACTIONAL", RLELossless))
    return seeds + [file_bytes(_segmentation(kind, syntax)) for kind, syntax in kinds]


def result_seeds() -> Sequence[bytes]:
    """Our reports and segmentations, of images with two marks and with none."""
    few = detections(np.zeros((0, 4)), np.zeros(0))
    return [
        *(
            file_bytes(build_result(kind, [_small_marked(found)], MODEL, created=_CREATED))
            for kind in ("sr", "cad", "seg")
            for found in (detections(), few)
        ),
        file_bytes(build_result("sr", [_small_marked()], MODEL, reviewed=True, created=_CREATED)),
    ]


def file_bytes(dataset: Dataset) -> bytes:
    """A data set as a file with preamble."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _compressed() -> list[bytes]:
    """The JPEG family, each where something that encodes it is installed."""
    found: list[bytes] = []
    makers: tuple[Callable[[], Dataset], ...] = (
        _jpeg_baseline,
        _jpeg_lossless,
        lambda: mammogram_dataset(grey_ramp(SHAPE), syntax=JPEGLSLossless),
        lambda: mammogram_dataset(grey_ramp((32, 40)), syntax=JPEG2000Lossless),
        lambda: mammogram_dataset(grey_ramp((32, 40), bits=8), bits_stored=8, syntax=JPEG2000Lossless),
    )
    for make in makers:
        with suppress(ImportError, NotImplementedError, RuntimeError):  # no encoder here: no seed of it
            found.append(file_bytes(make()))
    return found


def _jpeg_baseline() -> Dataset:
    stream = io.BytesIO()
    pixels = grey_ramp(SHAPE, bits=8)
    Image.fromarray(pixels).save(stream, format="JPEG")
    return _with_frame(mammogram_dataset(pixels, bits_stored=8), JPEGBaseline8Bit, stream.getvalue())


def _jpeg_lossless() -> Dataset:
    import gdcm

    plain = mammogram_dataset(grey_ramp(SHAPE))
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "plain.dcm", Path(folder) / "lossless.dcm"
        before.write_bytes(file_bytes(plain))
        reader = gdcm.ImageReader()
        reader.SetFileName(str(before))
        reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(after))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        frame = next(generate_frames(dcmread(after).PixelData, number_of_frames=1))
    return _with_frame(plain, JPEGLosslessSV1, frame)


def _with_frame(dataset: Dataset, syntax: UID, frame: bytes) -> Dataset:
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _segmentation(kind: str, syntax: UID | None) -> Dataset:
    """Two frames of 63 pixels: the second of a packed one begins within a byte."""
    rows, columns = 7, 9
    pixels: NDArray[np.integer] = np.zeros((rows, columns), dtype=np.uint8)
    dataset = mammogram_dataset(pixels, bits_stored=8, sop_class=SegmentationStorage)
    dataset.Modality, dataset.SegmentationType = "SEG", kind
    dataset.NumberOfFrames, dataset.MaximumFractionalValue = 2, 255
    dataset.SegmentSequence = Items([_segment(1), _segment(2)])
    dataset.PerFrameFunctionalGroupsSequence = Items([_groups(number, kind) for number in (1, 2)])
    values = np.arange(2 * rows * columns).reshape(2, rows, columns) % (256 if kind == "FRACTIONAL" else 3)
    if kind == "BINARY":
        dataset.BitsAllocated = dataset.BitsStored = 1
        dataset.HighBit = 0
        raw = np.packbits((values > 0).ravel(), bitorder="little").tobytes()
    else:
        raw = values.astype(np.uint8).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    if syntax is not None:
        dataset.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
    return dataset


def _segment(number: int) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, f"mass {number}"
    segment.SegmentAlgorithmType = "MANUAL"
    segment.SegmentedPropertyTypeCodeSequence = code_item("4147007")
    return segment


def _groups(number: int, kind: str) -> Dataset:
    image, derivation, groups = Dataset(), Dataset(), Dataset()
    image.ReferencedSOPInstanceUID = _IMAGE_UID
    derivation.SourceImageSequence = Items([image])
    groups.DerivationImageSequence = Items([derivation])
    if kind != "LABELMAP":
        identification = Dataset()
        identification.ReferencedSegmentNumber = number
        groups.SegmentIdentificationSequence = Items([identification])
    return groups


def _small_marked(found: Detections | None = None) -> MarkedImage:
    return marked(digital_mammogram((40, 30)), found)


def _nested(depth: int) -> Items:
    items = Items()
    for _ in range(depth):
        item = Dataset()
        item.SourceImageSequence = items
        items = Items([item])
    return items
