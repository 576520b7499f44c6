"""Reads DICOM Segmentation objects: which pixels of which image each segment marks.

Mammograms have no plane positions, so frames are joined to images by the SOP Instance UIDs they refer to.
Frames are decoded one at a time: a segmentation of many segments never stands in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from mammo_monai.dicom.bounded import MAX_PIXELS, read_bounded
from mammo_monai.dicom.decoders import plugin_for_frame
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.unquoted import AttributeValueError
from mammo_monai.errors import DicomError

MODALITY = "SEG"
# FRACTIONAL: from this share of the maximum on, a pixel belongs to the segment. The standard names no limit.
MIN_FRACTION = 0.5
_TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")
# A frame stands for one segment of one image; of each, a breast has a few.
MAX_FRAMES = 100_000
_EXPECTED = "a whole DICOM Segmentation, got one that cannot be parsed"
_REMEDY = "It is damaged or cut short: export it again."


@dataclass(frozen=True)
class Segment:
    """One entry of the Segment Sequence.

    Attributes:
        label: Segment Label, as the reader typed it.
        type_code: code value of the Segmented Property Type, "4147007" for a mass; "" where there is none.
        type_meaning: its meaning in words.
    """

    number: int
    label: str
    type_code: str
    type_meaning: str


@dataclass(frozen=True)
class SegmentFrame:
    """One frame that marks pixels of one segment, or of all in a label map.

    Attributes:
        index: in the pixel data, from 0. segment: 0 in a label map, whose pixel values are the numbers.
        sources: SOP Instance UIDs of the images the frame belongs to.
    """

    index: int
    segment: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Segmentation:
    """A segmentation without its pixels.

    Attributes:
        rows, columns: of each frame. kind: BINARY, FRACTIONAL or LABELMAP.
        segments: by number; without 0, the background of a label map.
    """

    path: Path
    rows: int
    columns: int
    kind: str
    segments: dict[int, Segment]
    frames: tuple[SegmentFrame, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The SOP Instance UIDs of all images that are segmented, each once."""
        return tuple(dict.fromkeys(uid for frame in self.frames for uid in frame.sources))


@dataclass(frozen=True)
class SegmentMask:
    """The pixels of one segment in one image, True inside; shape (rows, columns)."""

    segment: Segment
    pixels: NDArray[np.bool_]


def read_segmentation(path: Path) -> Segmentation:
    """The segments and frames of a DICOM Segmentation, without its pixels.

    Raises:
        DicomError: not a segmentation, damaged, or a frame that does not say its segment or its image.

    Source: DICOM PS3.3 C.8.20.2 (Segmentation Image), C.7.6.16.2.6 (Derivation Image).
    """
    path = Path(path)
    dataset = _open(path, headers_only=True)
    with damage_refused(path, _EXPECTED, _REMEDY):
        _refuse_claims(path, dataset)
        return Segmentation(
            path=path,
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            kind=first_text(dataset, "SegmentationType").upper(),
            segments={each.number: each for each in map(_segment, dataset.SegmentSequence) if each.number},
            frames=tuple(_frames(path, dataset)),
        )


def segment_masks(segmentation: Segmentation, source_uid: str) -> Iterator[SegmentMask]:
    """The masks of one image, one segment at a time; frames of the same segment are joined.

    A FRACTIONAL frame counts from half of its maximum on.

    Args:
        source_uid: SOP Instance UID of the image.

    Raises:
        DicomError: pixels damaged or cut short, or a segment that the Segment Sequence does not describe.
    """
    path = segmentation.path
    frames = [frame for frame in segmentation.frames if source_uid in frame.sources]
    if not frames:
        return
    dataset = _open(path, headers_only=False)
    by_number: dict[int, list[SegmentFrame]] = {}
    for frame in frames:
        numbers = [frame.segment] if frame.segment else [*segmentation.segments]
        for number in numbers:
            by_number.setdefault(number, []).append(frame)
    for number, its_frames in by_number.items():
        if number not in segmentation.segments:
            raise DicomError(
                f"{path}: expected frames of the segments {', '.join(map(str, segmentation.segments))}, got "
                f"one of segment {number}. Export the segmentation again."
            )
        with damage_refused(path, _EXPECTED, _REMEDY):
            pixels = _marked(dataset, segmentation, its_frames[0], number)
            for frame in its_frames[1:]:
                pixels |= _marked(dataset, segmentation, frame, number)
        yield SegmentMask(segmentation.segments[number], pixels)


def _open(path: Path, *, headers_only: bool) -> Dataset:
    if not path.is_file():
        raise DicomError(f"{path}: expected a DICOM Segmentation, found no such file. Check the path.")
    with damage_refused(path, _EXPECTED, _REMEDY):
        dataset = read_bounded(path, name=path, headers_only=headers_only)
        modality = first_text(dataset, "Modality").upper()
        kind = first_text(dataset, "SegmentationType").upper()
    if modality != MODALITY or kind not in _TYPES:
        raise DicomError(
            f"{path}: expected Modality (0008,0060) SEG with a Segmentation Type of {', '.join(_TYPES)}, got "
            f"{modality or 'none'} with {kind or 'none'}. Name the folder of the segmentations."
        )
    return dataset


def _refuse_claims(path: Path, dataset: Dataset) -> None:
    """Raises where a header alone would cost more time and memory than any segmentation of mammograms."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = int(first_text(dataset, "NumberOfFrames") or 1)
    if rows * columns > MAX_PIXELS or frames > MAX_FRAMES:
        raise DicomError(
            f"{path}: expected at most {MAX_FRAMES} frames of at most {MAX_PIXELS} pixels, got {frames} of "
            f"{rows} × {columns}. {_REMEDY}"
        )


def _segment(item: Dataset) -> Segment:
    code = next(iter(item.get("SegmentedPropertyTypeCodeSequence") or ()), Dataset())
    return Segment(
        number=int(item.SegmentNumber),
        label=first_text(item, "SegmentLabel"),
        type_code=first_text(code, "CodeValue"),
        type_meaning=first_text(code, "CodeMeaning"),
    )


def _frames(path: Path, dataset: Dataset) -> Iterator[SegmentFrame]:
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    per_frame: Sequence[Dataset] = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    whole = _referenced_instances(dataset)
    count = int(first_text(dataset, "NumberOfFrames") or 1)
    for index in range(count):
        own = per_frame[index] if index < len(per_frame) else Dataset()
        sources = _derived_from(own) or _derived_from(shared) or whole
        segment = _segment_number(own) or _segment_number(shared)
        if not segment and dataset.SegmentationType != "LABELMAP":
            raise DicomError(
                f"{path}: expected frame {index + 1} to name its segment (0062,000B), got none. {_REMEDY}"
            )
        if not sources or (sources is whole and len(whole) > 1):
            raise DicomError(
                f"{path}: expected frame {index + 1} to refer to its source image (0008,2112), or the whole "
                f"object to one image (0008,1115); got references to {len(whole)}. "
                "Export it with source references."
            )
        yield SegmentFrame(index, segment, sources)


def _derived_from(groups: Dataset) -> tuple[str, ...]:
    return tuple(
        first_text(image, "ReferencedSOPInstanceUID")
        for derivation in groups.get("DerivationImageSequence") or ()
        for image in derivation.get("SourceImageSequence") or ()
    )


def _referenced_instances(dataset: Dataset) -> tuple[str, ...]:
    found = [
        first_text(image, "ReferencedSOPInstanceUID")
        for series in dataset.get("ReferencedSeriesSequence") or ()
        for image in series.get("ReferencedInstanceSequence") or ()
    ]
    for keyword in ("ReferencedImageSequence", "SourceImageSequence"):
        found += [first_text(image, "ReferencedSOPInstanceUID") for image in dataset.get(keyword) or ()]
    return tuple(dict.fromkeys(found))


def _segment_number(groups: Dataset) -> int:
    """0 where the groups do not say it; numbers begin at 1."""
    item = next(iter(groups.get("SegmentIdentificationSequence") or ()), Dataset())
    return int(first_text(item, "ReferencedSegmentNumber") or 0)


def _marked(
    dataset: Dataset, segmentation: Segmentation, frame: SegmentFrame, number: int
) -> NDArray[np.bool_]:
    if segmentation.kind == "BINARY" and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return _unpacked(dataset, frame.index)
    plugin = plugin_for_frame(segmentation.path, dataset, frame.index)
    values = pixel_array(dataset, index=frame.index, decoding_plugin=plugin)
    if segmentation.kind == "LABELMAP":
        return np.asarray(values == number)
    if segmentation.kind == "BINARY":
        return np.asarray(values != 0)
    return np.asarray(values >= MIN_FRACTION * int(dataset.MaximumFractionalValue))


def _unpacked(dataset: Dataset, index: int) -> NDArray[np.bool_]:
    """One frame of packed bits, least significant first; frames need not begin at a byte.

    pydicom 3.0 decodes all such frames at once, but fails on a single one that begins within a byte.

    Source: DICOM PS3.5 8.1.1, PS3.3 C.7.6.3.3.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    start = index * rows * columns
    stop = start + rows * columns
    packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)[start // 8 : (stop + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[start % 8 :][: rows * columns]
    if len(bits) < rows * columns:
        raise AttributeValueError(f"frame {index + 1} is cut short: {len(bits)} of {rows * columns} pixels")
    return bits.reshape(rows, columns).astype(bool)
