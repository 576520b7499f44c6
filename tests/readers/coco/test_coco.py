from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.coco.reader import CocoOptions, read_coco
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.records import ImageRecord, Laterality, Split, ViewPosition, patient_id_of
from mammo_monai.schema import Action

PATTERN = r"(?P<patient>\d+)_(?P<laterality>LEFT|RIGHT)_(?P<view>CC|MLO)"
SIZE = (60, 90)


class CocoTree:
    """A COCO set of 60 × 90 px PNGs; change `content` before `read`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "boxes.json"
        self.content: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 1, "name": "Calcification"}, {"id": 5, "name": "Mass"}],
        }

    def add(self, name: str = "00001_RIGHT_CC.png", *boxes: Any, **fields: object) -> dict[str, Any]:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("L", SIZE).save(self.folder / name)
        image = {"id": len(self.content["images"]), "file_name": name, "width": 60, "height": 90, **fields}
        self.content["images"].append(image)
        for box in boxes:
            self.annotate(image["id"], box)
        return image

    def annotate(self, image: object, bbox: object, **fields: object) -> None:
        number = len(self.content["annotations"])
        annotation = {"id": number, "image_id": image, "category_id": 5, "bbox": bbox, **fields}
        self.content["annotations"].append(annotation)

    def data_set(self, audit: Audit | None = None, **options: Any) -> DataSet:
        self.path.write_text(json.dumps(self.content))
        options = {"images": self.folder, **options}
        return read_coco(self.path, Reading("s", audit or Audit()), CocoOptions(**options))

    def read(self, audit: Audit | None = None, **options: Any) -> list[ImageRecord]:
        """As --strict does: any fault raises, unless an audit is given."""
        own = audit or Audit(strict=True)
        records = self.data_set(own, **options).records
        own.finish()
        return list(records)


@pytest.fixture
def coco(tmp_path: Path) -> CocoTree:
    return CocoTree(tmp_path)


def test_boxes_become_corners_and_images_without_any_are_normal(coco: CocoTree) -> None:
    coco.add("a.png", [10, 20, 30.5, 40], patient_id="p1")
    coco.add("b.png", patient_id="p1")
    first, second = coco.read()
    assert first.boxes.tolist() == [[10, 20, 40.5, 60]]
    assert first.labels.tolist() == [0]
    assert first.lesions[0].type == "mass"
    assert second.is_normal
    assert (first.width, first.height) == SIZE


def test_ids_of_a_public_data_set_stay_when_asked_for(coco: CocoTree) -> None:
    coco.add("a.png", patient_id="P_00017")
    coco.add("b.png", patient_id="P_00017")
    kept, hashed = coco.read(patients_are_public=True), coco.read()
    assert {each.patient_id for each in kept} == {"P_00017"}
    assert {each.patient_id for each in hashed} == {patient_id_of("P_00017", "s")}


def test_image_fields_give_patient_side_view_and_grades(coco: CocoTree) -> None:
    coco.add("a.png", [1, 2, 3, 4], patient_id=17, laterality="right", view="mlo", birads="4c", acr="b")
    (record,) = coco.read()
    assert record.patient_id == patient_id_of("17", "s")
    assert record.laterality is Laterality.RIGHT
    assert record.view_position is ViewPosition.MLO
    assert record.breast_density == 2
    assert record.lesions[0].birads == 4


def test_the_name_pattern_fills_what_the_fields_leave_open(coco: CocoTree) -> None:
    coco.add("00001_RIGHT_CC.png", view_position="MLO")
    (record,) = coco.read(name_pattern=PATTERN)
    assert (record.patient_id, record.laterality, record.view_position) == (
        patient_id_of("00001", "s"),
        Laterality.RIGHT,
        ViewPosition.MLO,
    )


def test_fields_of_an_annotation_are_kept(coco: CocoTree) -> None:
    coco.add("a.png", birads=2)
    square = [[1, 1, 5, 1, 5, 9]]
    coco.annotate(0, [1, 1, 4, 8], birads="5", pathology="MALIGNANT", subtlety=3, segmentation=square)
    coco.annotate(0, [1, 1, 4, 8], segmentation=[])
    coco.annotate(0, [1, 1, 4, 8], segmentation=[[1, 1, 5]])
    first, second, third = coco.read()[0].lesions
    assert (first.birads, first.pathology, first.subtlety) == (5, "MALIGNANT", 3)
    assert first.contour == ((1, 1), (5, 1), (5, 9))
    assert first.area_mm2 is None
    assert (second.birads, second.contour, third.contour) == (2, None, None)


@pytest.mark.parametrize("subtlety", [0, 6, True, 3.5, "3"])
def test_a_subtlety_that_no_manifest_holds_is_unknown(coco: CocoTree, subtlety: object) -> None:
    coco.add("a.png")
    coco.annotate(0, [1, 1, 4, 8], subtlety=subtlety)
    assert coco.read()[0].lesions[0].subtlety is None


def test_other_categories_follow_the_masses_in_file_order(coco: CocoTree) -> None:
    coco.content["categories"].append({"id": 9, "name": "Asymmetry"})
    coco.add("a.png")
    for category_id in (9, 1, 5):
        coco.annotate(0, [1, 2, 3, 4], category_id=category_id)
    (record,) = coco.read()
    assert [lesion.type for lesion in record.lesions] == ["asymmetry", "calcification", "mass"]
    assert record.labels.tolist() == [2, 1, 0]


def test_another_category_may_stand_for_masses(coco: CocoTree) -> None:
    coco.content["categories"] = [{"id": 5, "name": "Tumours"}]
    coco.add("a.png", [1, 2, 3, 4])
    with pytest.raises(ManifestError, match=r"expected a category called 'mass', found tumours.*--category"):
        coco.read()
    assert coco.read(category="tumour")[0].labels.tolist() == [0]


def test_ml_is_read_as_mlo_only_where_mlo_never_occurs(
    coco: CocoTree,
) -> None:
    coco.add("a.png", view="ML")
    coco.add("b.png", view="CC")
    audit = Audit()
    views = [record.view_position for record in coco.read(audit)]
    assert views == [ViewPosition.MLO, ViewPosition.CC]
    (finding,) = [each for each in audit.findings if each.code == "view-ml-for-mlo"]
    assert finding.action is Action.REPAIRED
    assert "read as MLO" in finding.found
    coco.add("c.png", view="MLO")
    assert coco.read()[0].view_position is ViewPosition.ML


def test_an_unknown_view_is_other_and_said(coco: CocoTree) -> None:
    coco.add("a.png", view="CV")
    audit = Audit()
    assert coco.read(audit)[0].view_position is ViewPosition.OTHER
    assert audit.findings[0].code == "view-unknown"


def test_sizes_left_out_of_the_json_come_from_the_file(coco: CocoTree) -> None:
    image = coco.add("a.png", [1, 2, 3, 4])
    del image["width"], image["height"]
    assert (coco.read()[0].width, coco.read()[0].height) == SIZE


def test_record_ids_follow_the_file_name_not_the_folder(coco: CocoTree, tmp_path: Path) -> None:
    coco.add("a.png")
    first = coco.read()[0].record_id
    coco.folder = tmp_path / "moved"
    coco.folder.mkdir()
    (tmp_path / "a.png").rename(coco.folder / "a.png")
    assert coco.read()[0].record_id == first


def test_files_may_lie_flat_although_their_names_have_folders(coco: CocoTree) -> None:
    coco.add("train/a.png")
    (coco.folder / "train" / "a.png").rename(coco.folder / "a.png")
    assert coco.read()[0].image == coco.folder / "a.png"


def test_dicom_images_bring_their_own_attributes(coco: CocoTree, dicom_writer: Any) -> None:
    pixels = np.arange(90 * 60, dtype=np.uint16).reshape(90, 60)
    dicom_writer(
        coco.folder / "a.dcm",
        pixels,
        SOPInstanceUID="1.2.3",
        ImageLaterality="R",
        ViewPosition="MLO",
        PixelSpacing=[0.5, 0.25],
    )
    coco.add("a.dcm")
    coco.annotate(0, [1, 1, 4, 8], segmentation=[[1, 1, 5, 1, 5, 9]])
    (record,) = coco.read()
    assert (record.laterality, record.view_position) == (Laterality.RIGHT, ViewPosition.MLO)
    assert record.pixel_spacing_mm == (0.5, 0.25)
    assert record.patient_id == patient_id_of("somebody", "s")
    assert record.lesions[0].area_mm2 == pytest.approx(16 * 0.125)
    coco.folder.joinpath("a.dcm").rename(coco.folder / "b.dcm")
    coco.content["images"][0]["file_name"] = "b.dcm"
    assert coco.read()[0].record_id == record.record_id


def test_a_split_of_the_images_is_the_official_one(coco: CocoTree) -> None:
    for name, split in (("a.png", "train"), ("b.png", "val"), ("c.png", "nonsense")):
        coco.add(name, split=split)
    data_set = coco.data_set()
    official = {record.image.name: data_set.official.get(record.record_id) for record in data_set.records}
    assert official == {"a.png": Split.TRAINING, "b.png": Split.VALIDATION, "c.png": None}


def test_a_single_list_is_no_split(coco: CocoTree) -> None:
    coco.add("a.png", split="train")
    assert coco.data_set().official == {}


def test_images_lie_beside_the_json_unless_a_folder_is_named(coco: CocoTree) -> None:
    coco.add("a.png", [1, 2, 3, 4])
    assert coco.read(images=None)[0].image == coco.folder / "a.png"


def test_other_categories_are_explained_by_the_site(coco: CocoTree) -> None:
    coco.content["categories"] = [
        {"id": 5, "name": "Mass"},
        {"id": 6, "name": "Cyst"},
        {"id": 7, "name": "Clip"},
    ]
    coco.add("a.png", [1, 2, 3, 4])
    coco.annotate(0, [1, 2, 3, 4], category_id=6)
    coco.annotate(0, [1, 2, 3, 4], category_id=7)
    audit = Audit()
    (record,) = coco.read(audit, classes={"clip": "ignore"})
    assert [lesion.type for lesion in record.lesions] == ["mass", "other+cyst"]
    assert record.labels.tolist() == [0, 4]
    assert ("class-unknown", Action.WARNED) in [(each.code, each.action) for each in audit.findings]


def test_an_image_has_its_own_assessment_and_file_size(coco: CocoTree) -> None:
    coco.add("a.png", birads="4b")
    (record,) = coco.read()
    assert (record.birads, record.file_size) == (4, (coco.folder / "a.png").stat().st_size)


class TestPatients:
    def test_unknown_ones_are_warned_of_because_a_split_may_leak(
        self, coco: CocoTree, caplog: pytest.LogCaptureFixture
    ) -> None:
        coco.add("a.png")
        coco.add("b.png")
        first, second = coco.read()
        assert first.patient_id != second.patient_id
        assert "2 of 2 images have no patient" in caplog.text
        assert "--name-pattern" in caplog.text

    def test_one_per_image_is_warned_of(self, coco: CocoTree) -> None:
        coco.add("a.png", patient_id="1_LEFT_CC")
        coco.add("b.png", patient_id="1_LEFT_MLO")
        audit = Audit()
        coco.read(audit)
        assert [finding.code for finding in audit.findings] == ["patient-per-image"]

    def test_shared_ones_need_no_warning(self, coco: CocoTree) -> None:
        coco.add("a.png", patient_id="1")
        coco.add("b.png", patient_id="1")
        audit = Audit()
        coco.read(audit)
        assert audit.findings == []


class TestBoxesAtTheBorder:
    @pytest.mark.parametrize(
        ("bbox", "inside"),
        [([-1, 0, 10, 10], [0, 0, 9, 10]), ([50, 80, 10.9, 11], [50, 80, 60, 90])],
    )
    def test_up_to_one_pixel_outside_is_cut(
        self, coco: CocoTree, bbox: list[float], inside: list[float]
    ) -> None:
        coco.add("a.png", bbox)
        assert coco.read()[0].boxes.tolist() == [inside]

    def test_further_out_names_file_image_box_size_and_remedy(self, coco: CocoTree) -> None:
        coco.add("a.png", [50, 10, 12, 10])
        message = (
            r"boxes\.json, images row 0 \(a\.png\): annotations row 0: box \[50\.0, 10\.0, 62\.0, 20\.0\] .* "
            r"2 px outside the image of 60 × 90 px.*--clip-boxes"
        )
        with pytest.raises(ManifestError, match=message):
            coco.read()
        assert coco.read(clip_boxes=True)[0].boxes.tolist() == [[50, 10, 60, 20]]

    def test_wholly_outside_cannot_be_cut(self, coco: CocoTree) -> None:
        coco.add("a.png", [60, 10, 0.5, 10])
        with pytest.raises(ManifestError, match="Nothing of it is inside"):
            coco.read(clip_boxes=True)

    @pytest.mark.parametrize(
        "bbox", [None, [1, 2, 3], [1, 2, 0, 4], [1, 2, 3, -4], [1, 2, "x", 4], [1, 2, float("nan"), 4], 7]
    )
    def test_what_is_no_box_is_shown(self, coco: CocoTree, bbox: object) -> None:
        coco.add("a.png", bbox)
        with pytest.raises(ManifestError, match="bbox must be x, y, width, height with an area, got"):
            coco.read()


class TestFaults:
    def test_missing_files_are_counted(self, coco: CocoTree) -> None:
        for name in ("a.png", "b.png", "c.png"):
            coco.add(name)
        for name in ("b.png", "c.png"):
            (coco.folder / name).unlink()
        with pytest.raises(
            ManifestError, match=r"row 1 \(b\.png\): the image file is missing.* 1 more image has"
        ):
            coco.read()
        audit = Audit()
        assert len(coco.read(audit)) == 1
        dropped = [finding for finding in audit.findings if finding.action is Action.QUARANTINED]
        assert [finding.code for finding in dropped] == ["image-missing"] * 2
        assert all(len(finding.record_id) == 16 and "png" not in finding.found for finding in dropped)

    def test_another_size_than_the_files_is_refused(self, coco: CocoTree) -> None:
        coco.add("a.png", width=90, height=60)
        with pytest.raises(ManifestError, match="the JSON says 90 × 60 px, the file has 60 × 90 px"):
            coco.read()

    def test_an_image_with_one_bad_box_goes_as_a_whole(self, coco: CocoTree) -> None:
        coco.add("a.png", [1, 2, 3, 4], [1, 2, 0, 0])
        coco.add("b.png", [1, 2, 3, 4])
        (record,) = coco.read(Audit())
        assert record.image.name == "b.png"

    def test_a_file_that_is_no_image_is_named(self, coco: CocoTree) -> None:
        coco.add("a.png")
        (coco.folder / "a.png").write_bytes(b"no picture")
        with pytest.raises(ManifestError, match=r"a\.png: the file is no readable image"):
            coco.read()

    def test_an_image_without_file_name_is_named_by_its_row(self, coco: CocoTree) -> None:
        coco.add("a.png")["file_name"] = None
        with pytest.raises(ManifestError, match=r"images row 0 \(no file_name\)"):
            coco.read()

    def test_file_names_that_do_not_match_the_pattern_are_named(self, coco: CocoTree) -> None:
        coco.add("mdb001.png")
        with pytest.raises(ManifestError, match=r"mdb001\.png\): the file name does not match .*patient"):
            coco.read(name_pattern=PATTERN)

    @pytest.mark.parametrize(
        ("pattern", "message"), [("(", "no regular expression"), (r"\d+", "at least one")]
    )
    def test_a_bad_pattern_is_shown(self, coco: CocoTree, pattern: str, message: str) -> None:
        with pytest.raises(ManifestError, match=message):
            coco.read(name_pattern=pattern)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"laterality": "B"}, "laterality must be L, LEFT, R, RIGHT, got another word. It is 'B'"),
            ({"birads": "7"}, "BI-RADS must be 0 to 6, 4a, 4b or 4c, got '7'"),
            ({"acr": "e"}, "breast density must be 1 to 4 or a to d, got 'e'"),
        ],
    )
    def test_a_bad_field_names_what_it_may_be(
        self, coco: CocoTree, fields: dict[str, object], message: str
    ) -> None:
        coco.add("a.png", **fields)
        with pytest.raises(ManifestError, match=message):
            coco.read()

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"category_id": 77}, "category_id 77 is none of the categories"),
            ({"id": 0}, "id 0 stood on an annotation before"),
            ({"birads": "x"}, "BI-RADS must be"),
        ],
    )
    def test_a_bad_annotation_names_its_row(
        self, coco: CocoTree, fields: dict[str, object], message: str
    ) -> None:
        coco.add("a.png", [1, 2, 3, 4])
        coco.annotate(0, [1, 2, 3, 4], **fields)
        with pytest.raises(ManifestError, match=message):
            coco.read()

    @pytest.mark.parametrize("image_id", [99, None, [0]])
    def test_an_annotation_of_no_image_is_a_warning_that_names_its_row(
        self, coco: CocoTree, image_id: object
    ) -> None:
        coco.add("a.png", [1, 2, 3, 4])
        coco.annotate(0, [5, 6, 7, 8], image_id=image_id)
        audit = Audit(strict=True)
        (record,) = coco.read(audit)
        assert len(record.lesions) == 1
        orphan = audit.findings[0]
        assert (orphan.code, orphan.action) == ("annotation-orphan", Action.WARNED)
        assert orphan.place == "COCO annotations row 1"
        assert audit.quarantined == []

    @pytest.mark.parametrize("image_id", [None, 0])
    def test_image_ids_must_be_there_once(self, coco: CocoTree, image_id: object) -> None:
        coco.add("a.png")
        coco.add("b.png")["id"] = image_id
        with pytest.raises(ManifestError, match=r"boxes\.json, images row 1: expected an id of its own"):
            coco.read()

    def test_the_same_file_twice_is_one_image_and_said(self, coco: CocoTree) -> None:
        coco.add("a.png")
        coco.add("a.png")
        audit = Audit()
        assert len(coco.read(audit)) == 1
        assert "uid-repeated" in [finding.code for finding in audit.findings]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "expected a COCO JSON, cannot be read as JSON"),
            ("[]", "expected an object with images, got list"),
            ('{"a": 1}', "images must be a list of objects.*got NoneType; the file holds a"),
            ('{"images": [], "annotations": [3]}', "annotations must be a list of objects"),
        ],
    )
    def test_other_json_is_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        with pytest.raises(ManifestError, match=rf"x\.json: {message}"):
            read_coco(path, Reading("s"))

    def test_a_missing_json_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match=r"x\.json: the COCO JSON cannot be read: No such file"):
            read_coco(tmp_path / "x.json", Reading("s"))


def left_out(coco: CocoTree) -> tuple[list[str], list[str]]:
    """The images that stay, and the codes of those that do not."""
    audit = Audit()
    stay = [record.image.name for record in coco.read(audit)]
    return stay, [each.code for each in audit.quarantined]


def test_spellings_of_one_id_are_one_id(coco: CocoTree) -> None:
    for name in ("a.png", "b.png"):
        coco.add(name)
    coco.annotate(0, [1, 2, 3, 4])
    coco.annotate(1, [2, 3, 4, 5])
    coco.content["annotations"][0] |= {"image_id": "0", "category_id": "5"}
    coco.content["annotations"][1] |= {"image_id": 1.0, "category_id": 5.0}
    assert [record.boxes.tolist() for record in coco.read()] == [[[1, 2, 4, 6]], [[2, 3, 6, 8]]]


def test_annotations_of_no_image_at_all_make_none_normal(coco: CocoTree) -> None:
    coco.add("a.png")
    coco.annotate(7, [1, 2, 3, 4])
    with pytest.raises(
        ManifestError, match="none of the 1 annotations names an image of the JSON: image_id 7"
    ):
        coco.read()


def test_a_category_without_a_name_is_unknown_and_one_of_two_names_is_refused(coco: CocoTree) -> None:
    coco.add("a.png")
    coco.add("b.png")
    coco.annotate(0, [1, 2, 3, 4], category_id=8)
    coco.content["categories"].append({"id": 8, "name": None})
    assert left_out(coco) == (["b.png"], ["category-unknown"])
    coco.content["categories"] += [{"id": 8, "name": "mass"}, {"id": 8, "name": "cyst"}]
    with pytest.raises(ManifestError, match="category id 8 stands for 'mass' and for 'cyst'"):
        coco.read()


@pytest.mark.parametrize(
    "fields",
    [
        {"bbox": "1234"},
        {"bbox": [True, True, True, True]},
        {"bbox": [1, 2, 3, 4], "segmentation": [[30, 40, 50, 40, 50, 60]]},
        {"bbox": [10, 20, 31, 45], "segmentation": [[10, 20, 31, 20, 31, 45, 10, 45]]},
    ],
)
def test_a_box_that_is_none_or_elsewhere_than_its_contour_quarantines(
    coco: CocoTree, fields: dict[str, Any]
) -> None:
    coco.add("a.png")
    coco.add("b.png")
    coco.annotate(0, [1, 2, 3, 4])
    coco.content["annotations"][0] |= fields
    assert left_out(coco) == (["b.png"], ["box-invalid"])


@pytest.mark.parametrize(
    ("bbox", "is_left_out"),
    [
        ([10, 20, 20, 30], False),
        ([9, 19, 22, 32], False),  # a margin around it
        ([0, 0, 60, 90], False),
        ([12, 22, 20, 30], False),  # rounded, or counted from 1
        ([14, 26, 20, 30], True),  # as cut off at the left and above
        ([20, 40, 40, 50], True),
        ([13, 23, 12, 20], True),
    ],
)
def test_a_box_that_its_contour_leaves_quarantines(
    coco: CocoTree, bbox: list[int], is_left_out: bool
) -> None:
    coco.add("a.png")
    coco.add("b.png")
    coco.annotate(0, bbox, segmentation=[[10, 20, 30, 20, 30, 50, 10, 50]])
    assert left_out(coco) == ((["b.png"], ["box-invalid"]) if is_left_out else (["a.png", "b.png"], []))


def test_a_box_near_the_corner_may_be_read_both_ways_and_stays(coco: CocoTree) -> None:
    coco.add("a.png")
    coco.annotate(0, [1, 1, 20, 30], segmentation=[[1, 1, 20.5, 1, 20.5, 30.5, 1, 30.5]])
    (record,) = coco.read()
    assert [lesion.box for lesion in record.lesions] == [(1, 1, 21, 31)]


def test_a_contour_that_is_not_finite_is_left_out_and_sizes_may_be_text(coco: CocoTree) -> None:
    coco.add("a.png")
    coco.content["images"][0] |= {"width": "60", "height": "90.0"}
    coco.annotate(0, [1, 2, 3, 4], segmentation=[[math.nan, 1, 2, 3, 4, 5]])
    (record,) = coco.read()
    assert [(lesion.box, lesion.contour) for lesion in record.lesions] == [((1, 2, 4, 6), None)]


def test_a_flat_file_is_never_that_of_two_images(coco: CocoTree) -> None:
    coco.add("1.png")
    coco.content["images"][0]["file_name"] = "p1\\1.png"
    assert len(coco.read()) == 1  # the only one it can be
    coco.content["images"].append({"id": 1, "file_name": "p2/1.png"})
    coco.annotate(1, [1, 2, 3, 4])
    assert left_out(coco) == ([], ["image-missing", "image-missing"])


def test_an_annotation_said_twice_counts_once(coco: CocoTree) -> None:
    coco.add("a.png")
    coco.annotate(0, [1, 2, 3, 4])
    coco.annotate(0, [1, 2, 3, 4])
    audit = Audit()
    assert len(coco.read(audit)[0].lesions) == 1
    assert "lesion-repeated" in [each.code for each in audit.findings]


@pytest.mark.parametrize("name", ["a" * 5000 + ".png", "a\0.png"])
def test_a_name_no_file_can_have_is_a_missing_image(coco: CocoTree, name: str) -> None:
    coco.add("a.png")
    coco.content["images"].append({"id": 1, "file_name": name})
    assert left_out(coco) == (["a.png"], ["image-missing"])
