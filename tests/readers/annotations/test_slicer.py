from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of

UPRIGHT = [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0]


def roi(
    box: Sequence[float], spacing: tuple[float, float] = (1, 1), *, sign: int = 1, **fields: Any
) -> dict[str, Any]:
    """A Markups ROI around a box, as ITK's geometry lays the image: pixel centres at index · spacing.

    Args:
        spacing: (row, column) in mm. sign: 1 for LPS, -1 for RAS.
    """
    x_min, y_min, x_max, y_max = box
    centre = [
        ((x_min + x_max) / 2 - 0.5) * spacing[1] * sign,
        ((y_min + y_max) / 2 - 0.5) * spacing[0] * sign,
        0.0,
    ]
    size = [(x_max - x_min) * spacing[1], (y_max - y_min) * spacing[0], 1.0]
    return {
        "type": "ROI",
        "coordinateSystem": "LPS" if sign == 1 else "RAS",
        "coordinateUnits": "mm",
        "roiType": "Box",
        "center": centre,
        "orientation": UPRIGHT,
        "size": size,
        "insideOut": False,
        **fields,
    }


def markups(*items: Any) -> str:
    return json.dumps({"@schema": "markups-schema-v1.0.3.json#", "markups": items})


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["left.mrk.json", "left_ROI.mrk.json"])
def test_boxes_come_back_from_millimetres_in_both_systems(site: InHouse, sign: int, name: str) -> None:
    site.dicom("left.dcm", ImagerPixelSpacing=[0.07, 0.05])
    site.text(name, markups(*(roi(box, (0.07, 0.05), sign=sign) for box in BOXES)))
    found = boxes_of(site.lesions("left.dcm"))
    assert found == [pytest.approx(box, abs=1e-9) for box in BOXES]


def test_boxes_agree_with_the_geometry_that_itk_gives_the_image(site: InHouse) -> None:
    itk = pytest.importorskip("itk")
    path = site.dicom("left.dcm", ImagerPixelSpacing=[0.07, 0.05])
    image = itk.imread(str(path))
    x_min, y_min, x_max, y_max = BOXES[0]
    spacing, origin = np.array(itk.spacing(image)), np.array(itk.origin(image))
    low, high = (
        origin + (np.array([x_min, y_min, 0]) - 0.5) * spacing,
        origin + (np.array([x_max, y_max, 1]) - 0.5) * spacing,
    )
    item = roi(BOXES[0], center=((low + high) / 2).tolist(), size=(high - low).tolist())
    site.text("left.mrk.json", markups(item))
    assert boxes_of(site.lesions("left.dcm")) == [pytest.approx(BOXES[0])]


@pytest.mark.parametrize("name", ["left.png", "left.dcm"])
def test_without_any_spacing_a_pixel_is_one_millimetre(site: InHouse, name: str) -> None:
    (site.png if name.endswith("png") else site.dicom)(name)
    site.text("left.mrk.json", markups(roi(BOXES[0])))
    assert boxes_of(site.lesions(name)) == [BOXES[0]]


def test_older_files_hold_the_centre_as_control_point(site: InHouse) -> None:
    site.png("left.png")
    item = roi(BOXES[0])
    item["controlPoints"] = [{"position": item.pop("center")}]
    site.text("left.mrk.json", markups(item))
    assert boxes_of(site.lesions("left.png")) == [BOXES[0]]


def test_a_box_turned_by_a_right_angle_is_upright(site: InHouse) -> None:
    site.png("left.png")
    item = roi(BOXES[0], orientation=[0, -1, 0, 1, 0, 0, 0, 0, 1])
    item["size"] = [item["size"][1], item["size"][0], 1]
    site.text("left.mrk.json", markups(item))
    assert boxes_of(site.lesions("left.png")) == [BOXES[0]]


def test_names_that_are_classes_tell_the_type(site: InHouse) -> None:
    site.png("left.png")
    items = [roi(BOXES[0], name=name) for name in ("calcification-1", "R_1", "breast")]
    items.append(roi(BOXES[1], label={"value": "asymmetry"}))
    site.text("left.mrk.json", markups(*items))
    assert [lesion.type for lesion in site.lesions("left.png")] == ["calcification", "mass", "asymmetry"]


def test_images_nobody_has_marked_are_left_out(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("left.mrk.json", markups())
    assert {name: record.is_normal for name, record in site.read().items()} == {"left.png": True}
    assert "images-unlisted" in site.codes()
    assert len(site.read(unlisted="normal")) == 2


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": [0.07, 0.05]},
        {"PixelSpacing": [0.06, 0.04], "ImagerPixelSpacing": [0.07, 0.05]},
        {
            "NominalScannedPixelSpacing": [0.06, 0.04],
            "PixelSpacing": [0.07, 0.05],
            "sop_class": SecondaryCaptureImageStorage,
        },
        {"ImagerPixelSpacing": [0.06, 0.04], "sop_class": SecondaryCaptureImageStorage},
    ],
)
def test_a_spacing_in_doubt_quarantines(site: InHouse, tags: dict[str, Any]) -> None:
    site.dicom("left.dcm", **tags)
    site.text("left.mrk.json", markups(roi(BOXES[0], (0.07, 0.05))))
    assert site.read() == {}
    assert site.quarantined() == ["spacing-ambiguous"]


@pytest.mark.parametrize("keyword", ["PixelSpacing", "NominalScannedPixelSpacing"])
def test_scanned_films_use_their_only_spacing(site: InHouse, keyword: str) -> None:
    site.dicom("left.dcm", sop_class=SecondaryCaptureImageStorage, **{keyword: [0.07, 0.05]})
    site.text("left.mrk.json", markups(roi(BOXES[0], (0.07, 0.05))))
    assert boxes_of(site.lesions("left.dcm")) == [pytest.approx(BOXES[0])]


def test_a_picture_with_a_resolution_quarantines(site: InHouse) -> None:
    path: Path = site.png("left.png").with_suffix(".tif")
    Image.open(path.with_suffix(".png")).save(path, dpi=(300, 300))
    path.with_suffix(".png").unlink()
    site.text("left.mrk.json", markups(roi(BOXES[0])))
    assert site.read() == {}
    assert site.quarantined() == ["spacing-ambiguous"]


def _turned() -> list[float]:
    return [0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "annotation-unreadable"),
        (markups(roi(BOXES[0]))[:80], "annotation-unreadable"),
        ("[]", "annotation-unreadable"),
        ('{"markups": [3]}', "annotation-unreadable"),
        (b'{"markups": "\xff"}', "annotation-unreadable"),
        (markups({"type": "Fiducial", "controlPoints": [{"position": [1, 2, 3]}]}), "markup-unusable"),
        (markups(roi(BOXES[0], orientation=_turned())), "markup-unusable"),
        (markups(roi(BOXES[0], size=[1, 2])), "markup-unusable"),
        (markups(roi(BOXES[0], coordinateSystem="XYZ")), "markup-unusable"),
        (markups(roi(BOXES[0], insideOut=True)), "markup-unusable"),
        (markups(roi(BOXES[0], center=[float("nan"), 1, 1])), "box-invalid"),
        (markups(roi((50, 20, 90, 40))), "box-outside"),
    ],
)
def test_a_bad_file_quarantines_its_image_alone(site: InHouse, content: str | bytes, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("left.mrk.json", content)
    site.text("right.mrk.json", markups(roi(BOXES[0])))
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_nrrd_segmentations_are_said_not_to_be_read(site: InHouse, caplog: pytest.LogCaptureFixture) -> None:
    site.png("left.png")
    site.text("left.seg.nrrd", b"NRRD0004\n")
    assert site.read() == {}
    assert site.quarantined() == ["nrrd-unread"]
    assert "export the segmentation as a NIfTI label map" in caplog.text
