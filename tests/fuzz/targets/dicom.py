"""DICOM files as strangers send them: mammograms, their headers, segmentations, results, broken downloads."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.dicom.attributes import read_attributes
from mammo_monai.dicom.pixels import read_mammogram
from mammo_monai.dicom.results import read_marks
from mammo_monai.dicom.segmentation import read_segmentation, segment_masks
from mammo_monai.dicom.wholeness import check_whole
from tests.fuzz.dicom_mutations import CODESTREAM_MUTATIONS, DICOM_MUTATIONS, SYNTAXES
from tests.fuzz.dicom_seeds import compressed_seeds, mammogram_seeds, result_seeds, segmentation_seeds
from tests.fuzz.harness import Target

_DICTIONARY = (
    b"DICM",
    *(b"1.2.840.10008.1.2" + ending for ending in SYNTAXES),
    *(b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xff\xff\xff\xff"),
    *(b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc4", b"\xff\xdb", b"\xff\xc3", b"\xff\xf7", b"\xff\xf8"),
    *(b"\xff\x4f", b"\xff\x51", b"\xff\x52", b"\xff\x5c", b"\xff\x90", b"\xff\x93", b"\x81\x00"),
    *(
        b"MONOCHROME1",
        b"MONOCHROME2",
        b"\xe0\x7f\x10\x00",
        b"\x28\x00\x10\x00",
        b"\x28\x00\x08\x00",
        b"ISO 2022 IR 87",
        b"\x1b$B",
    ),
)


def _read_segments(path: Path) -> None:
    segmentation = read_segmentation(path)
    for uid in segmentation.sources:
        for _ in segment_masks(segmentation, uid):
            pass


TARGETS = (
    Target(
        "dicom_mammogram",
        ".dcm",
        lambda path: read_mammogram(path, require_presentation=False),
        mammogram_seeds,
        dictionary=_DICTIONARY,
        mutators=DICOM_MUTATIONS,
    ),
    Target(
        "dicom_compressed",
        ".dcm",
        lambda path: read_mammogram(path, require_presentation=False),
        compressed_seeds,
        dictionary=_DICTIONARY,
        mutators=CODESTREAM_MUTATIONS,
    ),
    Target(
        "dicom_header",
        ".dcm",
        read_attributes,
        mammogram_seeds,
        dictionary=_DICTIONARY,
        mutators=DICOM_MUTATIONS,
    ),
    Target(
        "dicom_segmentation",
        ".dcm",
        _read_segments,
        segmentation_seeds,
        dictionary=_DICTIONARY,
        mutators=DICOM_MUTATIONS,
    ),
    Target(
        "dicom_results",
        ".dcm",
        read_marks,
        result_seeds,
        dictionary=_DICTIONARY,
        mutators=DICOM_MUTATIONS,
    ),
    Target(
        "dicom_wholeness",
        ".dcm",
        check_whole,
        mammogram_seeds,
        dictionary=_DICTIONARY,
        mutators=DICOM_MUTATIONS,
    ),
)
