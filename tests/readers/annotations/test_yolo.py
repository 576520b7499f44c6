from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers.annotations import yolo_names
from mammo_monai.records import Split
from tests.readers.annotations.in_house import BOXES, SIZE, InHouse, boxes_of


def yolo(boxes: Sequence[Any] = BOXES, classes: Sequence[int] = (), size: tuple[int, int] = SIZE) -> str:
    lines = []
    for number, (x_min, y_min, x_max, y_max) in enumerate(boxes):
        shares = (
            (x_min + x_max) / 2 / size[0],
            (y_min + y_max) / 2 / size[1],
            (x_max - x_min) / size[0],
            (y_max - y_min) / size[1],
        )
        lines.append(" ".join(map(repr, (classes[number] if classes else 0, *shares))))
    return "\n".join([*lines, ""])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corners=st.tuples(st.floats(0, 29), st.floats(0, 44), st.floats(30, 60), st.floats(45, 90)))
def test_shares_come_back_as_pixels(site: InHouse, corners: Any) -> None:
    site.png("left.png")
    site.text("left.txt", yolo([corners]))
    (box,) = boxes_of(site.lesions("left.png"))
    assert box == pytest.approx(corners, abs=1e-9)


def test_the_layout_of_images_and_labels_is_read_with_its_split(site: InHouse) -> None:
    for split, name in (("train", "a"), ("val", "a"), ("train", "b")):
        site.png(f"images/{split}/{name}.png")
    site.text("labels/train/a.txt", yolo([BOXES[0]]))
    site.text("labels/val/a.txt", yolo([BOXES[1]], [1]))
    site.text("labels/train/b.txt", "")
    site.text("classes.txt", "mass\ncalcification\n")
    data_set = site.data_set()
    found = {record.image.relative_to(site.root.absolute()).as_posix(): record for record in data_set.records}
    assert boxes_of(found["images/train/a.png"].lesions) == [pytest.approx(BOXES[0])]
    assert boxes_of(found["images/val/a.png"].lesions) == [pytest.approx(BOXES[1])]
    assert found["images/val/a.png"].labels.tolist() == [1]
    assert found["images/train/b.png"].is_normal
    splits = {name: data_set.official[record.record_id] for name, record in found.items()}
    assert splits == {
        "images/train/a.png": Split.TRAINING,
        "images/train/b.png": Split.TRAINING,
        "images/val/a.png": Split.VALIDATION,
    }
    assert site.codes() == ["patient-unknown"]


def test_a_polygon_is_kept_as_a_contour(site: InHouse) -> None:
    site.dicom("left.dcm", ImagerPixelSpacing=[0.5, 0.25])
    site.text("left.txt", "0 0.5 0.5 0.75 0.5 0.75 0.6 0.5 0.6\n")
    (lesion,) = site.lesions("left.dcm")
    assert lesion.box == pytest.approx((30, 45, 45, 54))
    assert lesion.contour is not None
    assert len(lesion.contour) == 4
    assert lesion.area_mm2 == pytest.approx(15 * 9 * 0.125)


def test_one_class_without_a_name_is_masses(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo(classes=[7, 7]))
    assert [lesion.type for lesion in site.lesions("left.png")] == ["mass", "mass"]


def test_several_classes_need_names(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo(classes=[0, 1]))
    with pytest.raises(ManifestError, match=r"found 0, 1 without names.*classes\.txt.*--class 0=mass"):
        site.read()
    lesions = site.lesions("left.png", classes={"0": "calcification", "1": "mass"})
    assert [lesion.type for lesion in lesions] == ["calcification", "mass"]


def test_names_that_hold_no_mass_are_shown(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("obj.names", "tumour\n")
    with pytest.raises(ManifestError, match=r"category called 'mass', found tumour \(2\).*--category NAME"):
        site.read()
    assert [lesion.label for lesion in site.lesions("left.png", category="tumour")] == [0, 0]


def test_a_site_may_lay_labels_anywhere(site: InHouse) -> None:
    site.png("pictures/p1/left.png")
    site.png("pictures/p2/left.png")
    labels = site.root.parent / "labels"
    for patient, box in zip(("p1", "p2"), BOXES, strict=True):
        (labels / patient).mkdir(parents=True)
        (labels / patient / "left.txt").write_text(yolo([box]))
    records = site.read(annotations=labels)
    assert boxes_of(records["pictures/p1/left.png"].lesions) == [pytest.approx(BOXES[0])]
    assert boxes_of(records["pictures/p2/left.png"].lesions) == [pytest.approx(BOXES[1])]
    assert len({record.patient_id for record in records.values()}) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("0 0.5 0.5 0.2", "box-invalid"),
        ("0 0.5 0.5 0.2 x", "box-invalid"),
        ("0 0.5 0.5 0.2 nan", "box-invalid"),
        ("mass 0.5 0.5 0.2 0.2", "box-invalid"),
        ("0 0.5 0.5 0.2 0.2 0.99", "box-invalid"),
        ("0 0.5 0.5 0.2 0.2 0.3 0.4 0.5", "box-invalid"),
        ("0 30 45 10 10", "box-invalid"),
        ("0 0.5 0.5 0 0.2", "box-invalid"),
        ("0 0.95 0.5 0.3 0.2", "box-outside"),
        ("9 0.5 0.5 0.2 0.2", "class-unknown"),
        (b"0 0.5 \xff\xfe", "annotation-unreadable"),
    ],
)
def test_a_bad_line_quarantines_its_image_alone(site: InHouse, content: str | bytes, code: str) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("classes.txt", "mass\n")
    site.text("left.txt", content)
    site.text("right.txt", yolo())
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == [code]


def test_class_names_that_differ_are_refused(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("classes.txt", "mass\n")
    site.text("obj.names", "calcification\n")
    with pytest.raises(ManifestError, match="expected one file of class names, found 2 that differ"):
        site.read()


@pytest.mark.parametrize(
    "names",
    [
        "names: [calcification, mass]",
        "train: ../train/images\nnc: 2\nnames: ['calcification', \"mass\"]  # in order\nroboflow:\n  a: b\n",
        "names:\n  - calcification\n  - mass\npath: x",
        "names:\n- calcification\n- mass\n",
        "# classes\nnames:\n\n  0: calcification\n  1: 'mass'\nval: x\r\n",
        "names: {0: calcification, 1: mass}",
        "names: [\n  calcification,\n  mass,\n]",
    ],
)
def test_names_come_from_a_data_yaml_above(site: InHouse, names: str) -> None:
    site.png("images/left.png")
    site.text("labels/left.txt", yolo(classes=[0, 1]))
    site.text("data.yaml", names)
    assert [lesion.type for lesion in site.lesions("images/left.png")] == ["calcification", "mass"]


def test_names_beside_the_folder_of_labels_are_found(site: InHouse) -> None:
    site.png("train/images/left.png")
    site.text("train/labels/left.txt", yolo([BOXES[0]]))
    site.text("data.yaml", "names: [calcification]")
    train = InHouse(site.root / "train")
    assert [lesion.type for lesion in train.lesions("images/left.png")] == ["calcification"]


def test_a_yaml_without_names_says_nothing(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("config.yaml", "epochs: 3\nfilenames: [a]\n")
    assert [lesion.type for lesion in site.lesions("left.png")] == ["mass", "mass"]


@pytest.mark.parametrize("names", ["names: *all", "names: see below", "names:\n  mass: 1"])
def test_a_yaml_whose_names_cannot_be_read_is_refused(site: InHouse, names: str) -> None:
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("data.yaml", names)
    with pytest.raises(ManifestError, match=r"data\.yaml: expected class names.* names as a list"):
        site.read()


def test_a_file_too_large_for_names_is_refused(site: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yolo_names, "MAX_BYTES", 3)
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("classes.txt", "mass\n")
    with pytest.raises(ManifestError, match=r"classes\.txt: expected class names.*more than 3 bytes"):
        site.read()


def test_a_report_among_the_labels_does_not_reach_the_audit(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    site.text("left.txt", "Patient: Jane Doe, mass on the left\n")
    site.text("right.txt", yolo())
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == ["box-invalid"]
    assert all("Doe" not in each.found for each in site.audit.findings)


def test_class_names_must_be_text(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("classes.txt", b"\xff\xfe\xfa")
    with pytest.raises(ManifestError, match="expected class names, one a line"):
        site.read()


def test_a_readme_among_the_images_is_no_label(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo())
    site.text("README.txt", "made by us")
    assert len(site.lesions("left.png")) == 2
    assert "annotation-orphan" not in site.codes()


@pytest.mark.parametrize(
    ("name", "text"), [("classes.txt", "\nmass\n"), ("data.yaml", "names: ['', mass]\n")]
)
def test_a_class_with_an_empty_name_is_unknown_not_normal(site: InHouse, name: str, text: str) -> None:
    site.png("images/left.png")
    site.png("images/right.png")
    site.text("labels/left.txt", "0 0.5 0.5 0.2 0.2\n")
    site.text("labels/right.txt", "1 0.5 0.5 0.2 0.2\n")
    site.text(f"labels/{name}", text)
    assert [*site.read()] == ["images/right.png"]
    assert site.quarantined() == ["class-unknown"]


def test_class_names_of_roboflow_are_read(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", yolo(classes=[1, 0]))
    site.text("_darknet.labels", "mass\ncalcification\n")
    assert [lesion.type for lesion in site.lesions("left.png")] == ["calcification", "mass"]


def test_labels_of_poses_are_refused_as_their_points_look_like_polygons(site: InHouse) -> None:
    site.png("left.png")
    site.text("left.txt", "0 0.34 0.36 0.35 0.28 0.3 0.3 0.31 0.32\n")
    site.text("data.yaml", "kpt_shape: [2, 2]\nnames: [mass]\n")
    with pytest.raises(ManifestError, match=r"data\.yaml: .*kpt_shape.*poses, which are not read"):
        site.read()


def test_class_names_that_contradict_those_of_a_folder_above_are_refused(site: InHouse) -> None:
    site.png("images/left.png")
    site.text("labels/left.txt", yolo())
    site.text("labels/classes.txt", "mass\ncalcification\n")
    site.text("data.yaml", "names: [calcification, mass]")
    with pytest.raises(
        ManifestError, match="0 'mass', 1 'calcification' here, 0 'calcification', 1 'mass' above"
    ):
        site.read()


def test_class_names_that_agree_with_those_above_may_be_fewer(site: InHouse) -> None:
    site.png("images/left.png")
    site.text("labels/left.txt", yolo([BOXES[0]]))
    site.text("labels/classes.txt", "Mass\n")
    site.text("data.yaml", "names: [mass, calcification]")
    assert [lesion.type for lesion in site.lesions("images/left.png")] == ["mass"]
