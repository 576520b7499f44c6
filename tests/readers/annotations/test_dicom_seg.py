from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.coding import Code

from mammo_monai.schema import Action
from tests.dicom.segmentation_factory import BREAST, CLUSTER, MASS, write_segmentation
from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of, drawn

ODD = (61, 91)
"""Frames of 5551 bits: all but the first begin within a byte."""


def frames(*boxes: tuple[int, int, int, int]) -> np.ndarray:  # type: ignore[type-arg]
    """Masks of one image, shape (1, H, W, segments)."""
    return np.stack([drawn([box], ODD) // 255 for box in boxes], axis=-1)[None]


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_boxes_come_back_by_uid_with_their_coded_types(site: InHouse, kind: str) -> None:
    image = site.dicom("images/IM1", size=ODD)
    site.dicom("images/IM2", size=ODD)
    segments = [("first", MASS), ("second", CLUSTER)]
    write_segmentation(site.root / "export" / "0001", [image], frames(*BOXES), segments, kind)
    records = site.read()
    lesions = records["images/IM1"].lesions
    assert [(lesion.box, lesion.type) for lesion in lesions] == [
        (BOXES[0], "mass"),
        (BOXES[1], "calcification"),
    ]
    assert [lesion.id for lesion in lesions] == ["1.1", "2.1"]
    assert records["images/IM2"].is_normal
    assert "annotation-orphan" not in site.codes()


def test_one_object_may_hold_several_images(site: InHouse) -> None:
    images = [site.dicom(f"IM{number}.dcm", size=ODD) for number in (1, 2)]
    path = write_segmentation(site.root / "seg.dcm", images[:1], frames(*BOXES), [("a", MASS), ("b", MASS)])
    dataset = dcmread(path)
    (derivation,) = dataset.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence
    derivation.SourceImageSequence[0].ReferencedSOPInstanceUID = dcmread(images[1]).SOPInstanceUID
    dataset.save_as(path)
    assert [boxes_of(record.lesions) for record in site.read().values()] == [[BOXES[0]], [BOXES[1]]]


def test_labels_tell_the_type_where_the_code_does_not_and_anatomy_is_no_lesion(site: InHouse) -> None:
    image = site.dicom("IM1.dcm", size=ODD)
    unknown = Code("1", "99SITE", "Something")
    segments = [("Asymmetry", unknown), ("Breast", BREAST)]
    write_segmentation(site.root / "seg.dcm", [image], frames(*BOXES), segments)
    (lesion,) = site.lesions("IM1.dcm")
    assert (lesion.box, lesion.type) == (BOXES[0], "asymmetry")


def test_objects_that_are_no_images_are_passed_over(site: InHouse) -> None:
    image = site.dicom("IM1.dcm", size=ODD)
    write_segmentation(site.root / "seg.dcm", [image], frames(BOXES[0]))
    site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\nIM1.dcm,1,2,30,40\n")
    assert boxes_of(site.lesions("IM1.dcm", format="csv")) == [(1, 2, 30, 40)]
    assert "other-object" in site.codes(Action.REPAIRED)
    assert site.quarantined() == []


def test_a_segmentation_of_an_image_that_is_not_there_is_an_orphan(site: InHouse) -> None:
    site.dicom("IM1.dcm", size=ODD)
    other = site.dicom("IM2.dcm", size=ODD)
    write_segmentation(site.root / "seg.dcm", [other], frames(BOXES[0]))
    write_segmentation(site.root / "seg3.dcm", [site.dicom("IM3.dcm", size=ODD)], frames(BOXES[0]))
    other.unlink()
    assert site.read()["IM1.dcm"].is_normal
    assert "annotation-orphan" in site.codes(Action.WARNED)


def test_pixels_cut_short_quarantine_the_image(site: InHouse) -> None:
    image = site.dicom("IM1.dcm", size=ODD)
    path = write_segmentation(site.root / "seg.dcm", [image], frames(*BOXES), [("a", MASS), ("b", MASS)])
    dataset = dcmread(path)
    dataset.PixelData = dataset.PixelData[:800]
    dataset.save_as(path)
    assert site.read() == {}
    assert site.quarantined() == ["segmentation-unreadable"]


def test_a_segmentation_that_cannot_be_read_is_joined_by_its_name(site: InHouse) -> None:
    image = site.dicom("IM1.dcm", size=ODD)
    site.dicom("IM2.dcm", size=ODD)
    path = write_segmentation(site.root / "seg" / "IM1_seg.dcm", [image], frames(BOXES[0]))
    dataset = dcmread(path)
    del dataset.SegmentSequence
    dataset.save_as(path)
    assert [*site.read()] == ["IM2.dcm"]
    assert site.quarantined() == ["segmentation-unreadable"]


def test_a_damaged_header_is_no_segmentation_and_stops_nothing(site: InHouse) -> None:
    image = site.dicom("IM1.dcm", size=ODD)
    write_segmentation(site.root / "seg.dcm", [image], frames(BOXES[0]))
    damaged = site.dicom("IM2.dcm", size=ODD)
    raw = bytearray(damaged.read_bytes())
    raw[140:142] = b"\x03\x0d"  # the length of the File Meta Information Group Length
    damaged.write_bytes(raw)
    assert boxes_of(site.lesions("IM1.dcm")) == [BOXES[0]]


def test_a_segmentation_that_cannot_be_read_makes_no_image_normal(site: InHouse) -> None:
    images = [site.dicom(f"IM{number}.dcm", size=ODD) for number in (1, 2)]
    for number, image in enumerate(images):
        write_segmentation(site.root / f"seg/{number}.dcm", [image], frames(BOXES[0]), [("a", MASS)])
    path = site.root / "seg" / "1.dcm"
    path.write_bytes(path.read_bytes()[:1200])
    assert [*site.read()] == ["IM1.dcm"]
    (finding,) = [each for each in site.audit.findings if each.code == "segmentation-unreadable"]
    assert finding.action is Action.WARNED
    assert "not known which image" in finding.found
    assert site.read(unlisted="normal")["IM2.dcm"].is_normal
