from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless

from mammo_monai.dicom.segmentation import Segmentation, read_segmentation, segment_masks
from mammo_monai.errors import DicomError
from tests.dicom.segmentation_factory import CLUSTER, MASS, write_segmentation
from tests.dicom_factory import SOP_INSTANCE_UID, grey_ramp, write_mammogram

SHAPE = (7, 9)
"""63 bits a frame: the second one begins within a byte."""
TWO = [("first", MASS), ("second", CLUSTER)]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_mammogram(tmp_path / "image.dcm", grey_ramp(SHAPE))


def masks_of(*corners: tuple[int, int, int, int]) -> Any:
    masks = np.zeros((1, *SHAPE, len(corners)), dtype=np.uint8)
    for number, (x_min, y_min, x_max, y_max) in enumerate(corners):
        masks[0, y_min:y_max, x_min:x_max, number] = 1
    return masks


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def pixels_of(segmentation: Segmentation, uid: str = SOP_INSTANCE_UID) -> dict[int, Any]:
    return {mask.segment.number: mask.pixels for mask in segment_masks(segmentation, uid)}


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_masks_come_back_with_their_segments_and_source(tmp_path: Path, image: Path, kind: str) -> None:
    masks = masks_of((2, 1, 5, 3), (6, 4, 9, 7))
    found = read_segmentation(write_segmentation(tmp_path / "seg.dcm", [image], masks, TWO, kind))
    assert found.sources == (SOP_INSTANCE_UID,)
    assert (found.rows, found.columns, found.kind) == (*SHAPE, kind)
    assert [(s.number, s.label, s.type_code, s.type_meaning) for s in found.segments.values()] == [
        (1, "first", "4147007", "Mass"),
        (2, "second", "129769006", "Calcification Cluster"),
    ]
    pixels = pixels_of(found)
    assert np.array_equal(pixels[1], masks[0, ..., 0])
    assert np.array_equal(pixels[2], masks[0, ..., 1])
    assert pixels_of(found, "1.2.3") == {}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(2, 9), columns=st.integers(4, 9), seed=st.integers(0, 99))
def test_packed_frames_of_any_size_come_back(tmp_path: Path, rows: int, columns: int, seed: int) -> None:
    """From 8 pixels on: highdicom 0.28 does not pack smaller frames."""
    image = write_mammogram(tmp_path / "any.dcm", grey_ramp((rows, columns)))
    masks = np.random.default_rng(seed).integers(0, 2, (1, rows, columns, 3))
    masks[:, 0, 0] = 1  # frames without a marked pixel are not written
    segments = [("a", MASS), ("b", MASS), ("c", MASS)]
    pixels = pixels_of(read_segmentation(write_segmentation(tmp_path / "seg.dcm", [image], masks, segments)))
    assert np.array_equal(np.stack([pixels[number] for number in (1, 2, 3)], axis=-1), masks[0])


def test_fractions_count_from_half_on(tmp_path: Path, image: Path) -> None:
    masks = masks_of((2, 1, 5, 3)) * np.float32(1)
    masks[0, 1, 2:5, 0] = (0.49, 0.51, 1)
    found = read_segmentation(write_segmentation(tmp_path / "seg.dcm", [image], masks, kind="FRACTIONAL"))
    assert pixels_of(found)[1][1].tolist() == [False, False, False, True, True, *[False] * 4]


def test_frames_belong_to_the_image_they_refer_to(tmp_path: Path, image: Path) -> None:
    masks = masks_of((2, 1, 5, 3), (6, 4, 9, 7))

    def other_source(dataset: Dataset) -> None:
        (derivation,) = dataset.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence
        derivation.SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"

    path = changed(write_segmentation(tmp_path / "seg.dcm", [image], masks, TWO), other_source)
    found = read_segmentation(path)
    assert found.sources == (SOP_INSTANCE_UID, "1.2.3")
    assert [*pixels_of(found)] == [1]
    assert np.array_equal(pixels_of(found, "1.2.3")[2], masks[0, ..., 1])


def test_frames_of_one_segment_are_joined(tmp_path: Path, image: Path) -> None:
    masks = masks_of((2, 1, 5, 3), (6, 4, 9, 7))

    def same_segment(dataset: Dataset) -> None:
        frame = dataset.PerFrameFunctionalGroupsSequence[1]
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1

    path = changed(write_segmentation(tmp_path / "seg.dcm", [image], masks, TWO), same_segment)
    pixels = pixels_of(read_segmentation(path))
    assert np.array_equal(pixels[1], masks.any(axis=-1)[0])
    assert [*pixels] == [1]


def _without_derivation(dataset: Dataset) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence


def test_the_only_referenced_image_is_the_source_of_frames_that_name_none(
    tmp_path: Path, image: Path
) -> None:
    path = changed(
        write_segmentation(tmp_path / "seg.dcm", [image], masks_of((2, 1, 5, 3))), _without_derivation
    )
    assert read_segmentation(path).sources == (SOP_INSTANCE_UID,)


def test_a_source_image_sequence_names_the_source_too(tmp_path: Path, image: Path) -> None:
    def older(dataset: Dataset) -> None:
        _without_derivation(dataset)
        del dataset.ReferencedSeriesSequence
        item = Dataset()
        item.ReferencedSOPInstanceUID = "1.2.3"
        dataset.SourceImageSequence = Sequence([item])

    path = changed(write_segmentation(tmp_path / "seg.dcm", [image], masks_of((2, 1, 5, 3))), older)
    assert read_segmentation(path).sources == ("1.2.3",)


def test_compressed_frames_are_decoded(tmp_path: Path, image: Path) -> None:
    masks = masks_of((2, 1, 5, 3), (6, 4, 9, 7))
    path = write_segmentation(tmp_path / "seg.dcm", [image], masks, TWO, "FRACTIONAL")
    changed(path, lambda dataset: dataset.compress(RLELossless, encoding_plugin="pydicom"))
    assert np.array_equal(pixels_of(read_segmentation(path))[2], masks[0, ..., 1])


def test_binary_frames_in_bytes_are_read(tmp_path: Path, image: Path) -> None:
    """Some writers compress BINARY masks with eight bits allocated."""
    masks = masks_of((2, 1, 5, 3), (6, 4, 9, 7))
    path = write_segmentation(tmp_path / "seg.dcm", [image], masks, TWO, "FRACTIONAL")

    def to_binary(dataset: Dataset) -> None:
        dataset.compress(RLELossless, encoding_plugin="pydicom")
        dataset.SegmentationType = "BINARY"

    assert np.array_equal(pixels_of(read_segmentation(changed(path, to_binary)))[1], masks[0, ..., 0])


def _no_segment(dataset: Dataset) -> None:
    for groups in (*dataset.PerFrameFunctionalGroupsSequence, *dataset.SharedFunctionalGroupsSequence):
        if "SegmentIdentificationSequence" in groups:
            del groups.SegmentIdentificationSequence


def _two_sources(dataset: Dataset) -> None:
    _without_derivation(dataset)
    instances = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    other = Dataset()
    other.ReferencedSOPInstanceUID = "1.2.3"
    instances.append(other)


def _no_source(dataset: Dataset) -> None:
    _without_derivation(dataset)
    for keyword in ("ReferencedSeriesSequence", "SourceImageSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_no_segment, r"expected frame 1 to name its segment \(0062,000B\)"),
        (_two_sources, "expected frame 1 to refer to its source image .* references to 2"),
        (_no_source, "expected frame 1 to refer to its source image .* references to 0"),
        (lambda dataset: delattr(dataset, "SegmentSequence"), "expected a whole DICOM Segmentation"),
        (
            lambda dataset: setattr(dataset, "Modality", "MG"),
            "expected Modality .* SEG .* got MG with BINARY",
        ),
        (lambda dataset: setattr(dataset, "SegmentationType", "NONE"), "got SEG with NONE"),
    ],
)
def test_an_object_that_is_none_is_refused_with_a_reason(
    tmp_path: Path, image: Path, change: Callable[[Dataset], None], message: str
) -> None:
    path = changed(write_segmentation(tmp_path / "seg.dcm", [image], masks_of((2, 1, 5, 3))), change)
    with pytest.raises(DicomError, match=message):
        read_segmentation(path)


def test_frames_of_a_segment_nobody_describes_are_refused(tmp_path: Path, image: Path) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.SegmentSequence[0].SegmentNumber = 5

    path = changed(write_segmentation(tmp_path / "seg.dcm", [image], masks_of((2, 1, 5, 3))), rename)
    with pytest.raises(DicomError, match="expected frames of the segments 5, got one of segment 1"):
        pixels_of(read_segmentation(path))


def test_frames_cut_short_are_refused(tmp_path: Path, image: Path) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", [image], masks_of((2, 1, 5, 3), (6, 4, 9, 7)), TWO)
    changed(path, lambda dataset: setattr(dataset, "PixelData", dataset.PixelData[:10]))
    with pytest.raises(DicomError, match=r"frame 2 is cut short: 17 of 63 pixels.*export it again"):
        pixels_of(read_segmentation(path))


def test_a_missing_file_and_another_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match=r"seg\.dcm: expected a DICOM Segmentation, found no such file"):
        read_segmentation(tmp_path / "seg.dcm")
    (tmp_path / "seg.dcm").write_bytes(b"text")
    with pytest.raises(DicomError, match=r"seg\.dcm: expected a whole DICOM Segmentation"):
        read_segmentation(tmp_path / "seg.dcm")


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"NumberOfFrames": 2_000_000_000}, "2000000000 of 7 × 9"),
        ({"Rows": 65535, "Columns": 65535}, "1 of 65535 × 65535"),
    ],
)
def test_more_than_any_segmentation_holds_is_refused(
    tmp_path: Path, image: Path, claims: dict[str, int], said: str
) -> None:
    def claim(dataset: Dataset) -> None:
        for keyword, value in claims.items():
            setattr(dataset, keyword, value)

    path = changed(write_segmentation(tmp_path / "seg.dcm", [image], masks_of((2, 1, 5, 3))), claim)
    with pytest.raises(DicomError, match=rf"seg\.dcm: expected at most 100000 frames .* got {said}"):
        read_segmentation(path)


@pytest.mark.filterwarnings("ignore")
def test_a_compressed_frame_that_lies_about_its_size_is_not_decoded(tmp_path: Path, image: Path) -> None:
    masks = masks_of((2, 1, 5, 3))
    path = write_segmentation(tmp_path / "seg.dcm", [image], masks, kind="FRACTIONAL")

    def compress(dataset: Dataset) -> None:
        dataset.compress(JPEGLSLossless)
        raw = dataset.PixelData
        at = raw.index(b"\xff\xf7") + 4
        dataset.PixelData = raw[:at] + b"\xff" + raw[at + 1 :]

    found = read_segmentation(changed(path, compress))
    with pytest.raises(DicomError, match=r"seg\.dcm: .*1 components of 255 bits"):
        pixels_of(found)
