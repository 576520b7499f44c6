"""DICOM Segmentation of the boxes: one binary segment per mark."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SegmentationStorage

from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.content_tree import sop_reference
from mammo_monai.dicom.results.headers import (
    AMBER_CIELAB,
    ResultFacts,
    SeriesFacts,
    long_string,
    new_result,
)
from mammo_monai.dicom.results.marked_image import CheckedImage
from mammo_monai.errors import DicomError

SERIES = SeriesFacts(SegmentationStorage, "SEG", 9105, "Marks (segments), not for diagnosis")
# Each segment is a frame of the image's full size: 1.6 MB for a scanned film.
MAX_SEGMENTS = 64
_ABNORMAL = codes.Code("49755003", "SCT", "Morphologically Abnormal Structure")  # CID 7150
_SOURCE_IMAGE = codes.Code("121322", "DCM", "Source image for image processing operation")  # CID 7202
_SEGMENTATION = codes.Code("113076", "DCM", "Segmentation")  # CID 7203


def box_segmentation(marked: CheckedImage, facts: ResultFacts) -> Dataset:
    """The boxes of one image as masks; without any, one empty segment that says so.

    A mask holds whole pixels: every pixel that the box touches is set, so its bounds lie up to one pixel
    further out on each side. Score and exact box are in the segment's description.

    Raises:
        DicomError: more than `MAX_SEGMENTS` boxes.

    Source: DICOM PS3.3 A.51, C.8.20.2, C.7.6.16, C.7.6.17; PS3.5 8.1.1 (bit order).
    """
    n_marks = len(marked.boxes)
    if n_marks > MAX_SEGMENTS:
        raise DicomError(
            f"{marked.name}: expected at most {MAX_SEGMENTS} boxes for a segmentation, each a mask of the "
            f"full image, got {n_marks}. Mark fewer with --min-score or --fppi, or write an SR."
        )
    result = new_result([marked], facts, SERIES)
    _add_image_modules(marked, facts, result)
    if n_marks:
        result.SegmentSequence = Sequence([_segment(marked, n, facts) for n in range(n_marks)])
    else:
        result.SegmentSequence = Sequence([_empty_segment(facts)])
    dimensions_uid = facts.uid("dimensions", [marked.uid])
    _add_frames(marked, result, n_frames=max(n_marks, 1), dimensions_uid=dimensions_uid)
    result.PixelData = _packed(marked)
    result["PixelData"].VR = "OB"
    return result


def _add_image_modules(marked: CheckedImage, facts: ResultFacts, result: Dataset) -> None:
    attributes = marked.attributes
    result.ImageType = ["DERIVED", "PRIMARY"]
    result.PatientOrientation = marked.orientation
    result.Rows, result.Columns = attributes.rows, attributes.columns
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.BitsAllocated = result.BitsStored = 1
    result.HighBit = result.PixelRepresentation = 0
    result.LossyImageCompression = "00"
    result.SegmentationType, result.SegmentsOverlap = "BINARY", "UNDEFINED"
    result.ContentLabel, result.ContentDescription = "MARKS", "Boxes of marks, not for diagnosis"
    result.ContentCreatorName = facts.observer or ""
    series = Dataset()
    series.SeriesInstanceUID = marked.source.SeriesInstanceUID
    series.ReferencedInstanceSequence = Sequence([sop_reference(marked.sop_class_uid, marked.uid)])
    result.ReferencedSeriesSequence = Sequence([series])


def _segment(marked: CheckedImage, n: int, facts: ResultFacts) -> Dataset:
    item = _segment_item(n + 1, facts)
    item.SegmentLabel = marked.mark_name(n)
    item.SegmentDescription = _description(marked, n)
    item.SegmentedPropertyTypeCodeSequence = codes.code_sequence(codes.finding_code(int(marked.labels[n])))
    item.TrackingID = marked.mark_name(n)
    item.TrackingUID = facts.uid("mark", [marked.uid], content=f"{n} {marked.boxes[n].tolist()}")
    return item


def _empty_segment(facts: ResultFacts) -> Dataset:
    item = _segment_item(1, facts)
    item.SegmentLabel = codes.NOTHING_MARKED
    item.SegmentDescription = "The model marked nothing in this image."
    item.SegmentedPropertyTypeCodeSequence = codes.code_sequence(codes.finding_code(0))
    return item


def _segment_item(number: int, facts: ResultFacts) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentAlgorithmType = "SEMIAUTOMATIC" if facts.is_reviewed else "AUTOMATIC"
    item.SegmentAlgorithmName = long_string(facts.model.name)
    item.SegmentedPropertyCategoryCodeSequence = codes.code_sequence(_ABNORMAL)
    item.RecommendedDisplayCIELabValue = list(AMBER_CIELAB)
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = codes.code_sequence(codes.ARTIFICIAL_INTELLIGENCE)
    algorithm.AlgorithmName = long_string(facts.model.name)
    algorithm.AlgorithmVersion = long_string(facts.model.version)
    algorithm.AlgorithmParameters = "\r\n".join(facts.parameters)
    item.SegmentationAlgorithmIdentificationSequence = Sequence([algorithm])
    return item


def _description(marked: CheckedImage, n: int) -> str:
    """`name=value` pairs that a reader takes back, numbers as Python writes them."""
    values = {"score": marked.scores[n]}
    if marked.probabilities is not None:
        values["probability"] = marked.probabilities[n]
    facts = [f"{name}={float(value)!r}" for name, value in values.items() if not np.isnan(value)]
    box = ",".join(repr(each) for each in marked.boxes[n].tolist())
    return "\r\n".join([*facts, f"box={box}"])


def _add_frames(marked: CheckedImage, result: Dataset, *, n_frames: int, dimensions_uid: str) -> None:
    """Functional groups: where each frame comes from and which segment it is; frames in segment order."""
    organisation = Dataset()
    organisation.DimensionOrganizationUID = dimensions_uid
    result.DimensionOrganizationSequence = Sequence([organisation])
    index = Dataset()
    index.DimensionIndexPointer = 0x0062000B  # Referenced Segment Number
    index.FunctionalGroupPointer = 0x0062000A  # Segment Identification Sequence
    index.DimensionOrganizationUID = organisation.DimensionOrganizationUID
    index.DimensionDescriptionLabel = "Segment Number"
    result.DimensionIndexSequence = Sequence([index])
    result.NumberOfFrames = n_frames
    result.SharedFunctionalGroupsSequence = Sequence([Dataset()])
    result.PerFrameFunctionalGroupsSequence = Sequence([_frame(marked, n) for n in range(1, n_frames + 1)])


def _derivation(marked: CheckedImage) -> Dataset:
    source = sop_reference(marked.sop_class_uid, marked.uid)
    source.PurposeOfReferenceCodeSequence = codes.code_sequence(_SOURCE_IMAGE)
    source.SpatialLocationsPreserved = "YES"
    derivation = Dataset()
    derivation.SourceImageSequence = Sequence([source])
    derivation.DerivationCodeSequence = codes.code_sequence(_SEGMENTATION)
    return derivation


def _frame(marked: CheckedImage, segment_number: int) -> Dataset:
    groups, content, segment = Dataset(), Dataset(), Dataset()
    groups.DerivationImageSequence = Sequence([_derivation(marked)])
    content.DimensionIndexValues = segment_number
    segment.ReferencedSegmentNumber = segment_number
    groups.FrameContentSequence = Sequence([content])
    groups.SegmentIdentificationSequence = Sequence([segment])
    return groups


def _packed(marked: CheckedImage) -> bytes:
    """The masks of all boxes, or an empty one, as bits in a row; frames may begin within a byte."""
    size = marked.attributes.rows * marked.attributes.columns
    n_bits = size * max(len(marked.boxes), 1)
    packed = np.zeros((n_bits + 15) // 16 * 2, dtype=np.uint8)  # an even number of bytes
    for n, box in enumerate(marked.boxes.tolist()):
        before, start = n * size % 8, n * size // 8
        bits = np.concatenate([np.zeros(before, dtype=np.bool_), _mask(box, marked).ravel()])
        frame = np.packbits(bits, bitorder="little")
        packed[start : start + len(frame)] |= frame
    return packed.tobytes()


def _mask(box: list[float], marked: CheckedImage) -> NDArray[np.bool_]:
    mask = np.zeros((marked.attributes.rows, marked.attributes.columns), dtype=np.bool_)
    x_min, y_min = (int(np.floor(each)) for each in box[:2])
    x_max, y_max = (int(np.ceil(each)) for each in box[2:])
    mask[y_min:y_max, x_min:x_max] = True
    return mask
