"""DICOM Segmentation objects, joined to their images by SOP Instance UID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mammo_monai.dicom.segmentation import MODALITY, Segment, Segmentation, read_segmentation, segment_masks
from mammo_monai.errors import DicomError
from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, fault_of, name_below
from mammo_monai.readers.annotations.mask_lesions import lesions_of_mask
from mammo_monai.readers.annotations.png import image_names
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import modality_of
from mammo_monai.records import Lesion

# DICOM PS3.16 CID 6014 and 6010, Mammography Single Image Finding, in SNOMED CT.
_TYPE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "4147007": "mass",
        "129769006": "calcification",
        "129770007": "calcification",
        "44771000": "calcification",
        "129792006": "distortion",
    }
)


def is_segmentation(path: Path) -> bool:
    """Whether a DICOM file is a segmentation, by its header."""
    return modality_of(path) == MODALITY


def read_dicom_seg(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per segmented image; frames are decoded when the image is read.

    A segment is of the type its coded property says, else its label, else its number; each connected part
    is a lesion. A segmentation that cannot be read is joined by its file name.
    """
    found: list[AnnotatedImage] = []
    for path in files:
        try:
            segmentation = read_segmentation(path)
        except DicomError as error:
            said = "the DICOM Segmentation cannot be read"
            fault = InvalidRecordError("segmentation-unreadable", str(path), said, str(error))
            found.append(fault_of(image_names(name_below(path, base)), fault, str(path)))
            continue
        found += [
            AnnotatedImage((uid,), str(path), partial(_lesions, segmentation, uid), is_part=True)
            for uid in segmentation.sources
        ]
    return found


def _lesions(segmentation: Segmentation, uid: str, target: Target) -> list[Lesion]:
    where = str(segmentation.path)
    lesions: list[Lesion] = []
    try:
        for mask in segment_masks(segmentation, uid):
            kind = _type_of(mask.segment, target)
            if kind is None:
                continue
            pixels = mask.pixels.astype(np.uint8) * np.uint8(min(mask.segment.number, 255))
            lesions += lesions_of_mask(pixels, target, where, type_of_value=partial(_always, kind))
    except DicomError as error:
        found = "the segmentation of the image cannot be decoded"
        raise InvalidRecordError("segmentation-unreadable", where, found, str(error)) from error
    return lesions


def _always(kind: str, _: int) -> str:
    return kind


def _type_of(segment: Segment, target: Target) -> str | None:
    """By code, else the site's own names for label and meaning, else the segment's number."""
    if segment.type_code in _TYPE_CODES:
        return _TYPE_CODES[segment.type_code]
    return target.types.type_of(segment.label or segment.type_meaning or str(segment.number))
