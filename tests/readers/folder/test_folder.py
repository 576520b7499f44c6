"""What `read_folder` does whatever the format; each format has tests of its own in annotations/."""

from __future__ import annotations

import logging
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.folder.reader import FolderOptions, read_folder
from mammo_monai.readers.reading import Reading
from mammo_monai.records import Laterality, Split, ViewPosition, patient_id_of
from mammo_monai.schema import Action
from tests.dicom_factory import mammogram_dataset
from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of, drawn

PATTERN = r"(?P<patient>\d+)_(?P<laterality>LEFT|RIGHT)_(?P<view>CC|MLO)"


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    return InHouse(tmp_path / "set")


def boxes_csv(site: InHouse, *names: str) -> None:
    rows = [
        f"{name},{x_min},{y_min},{x_max},{y_max}"
        for name, (x_min, y_min, x_max, y_max) in zip(names, BOXES * 999, strict=False)
    ]
    site.text("boxes.csv", "\n".join(["file_name,xmin,ymin,xmax,ymax", *rows, ""]))


class TestImages:
    def test_of_every_kind_are_found_dicom_by_content(self, site: InHouse) -> None:
        site.dicom("IM0001")
        site.dicom("b/1.2.840.1")
        site.dicom("c.dcm")
        Image.open(site.png("d.png")).save(site.root / "e.tif")
        Image.open(site.root / "d.png").save(site.root / "f.jpg")
        site.dicom("g.png")
        site.text("DICOMDIR", b"\0" * 128 + b"DICM")
        site.text("notes", "hello")
        site.text(".hidden/a.png", "x")
        site.text("._c.dcm", "x")
        boxes_csv(site, "IM0001", "b/1.2.840.1", "c.dcm", "d.png", "e.tif", "f.jpg", "g.png")
        records = site.read()
        assert sorted(records) == ["IM0001", "b/1.2.840.1", "c.dcm", "d.png", "e.tif", "f.jpg", "g.png"]
        assert all(len(record.lesions) == 1 for record in records.values())
        assert all((record.width, record.height) == (60, 90) for record in records.values())
        assert site.quarantined() == []

    def test_that_cannot_be_read_are_quarantined_and_the_rest_goes_on(self, site: InHouse) -> None:
        site.dicom("good.dcm")
        for name in ("short.dcm", "processing.dcm", "ct.dcm", "bad.png", "empty.dcm"):
            site.dicom(
                name,
                PresentationIntentType="FOR PROCESSING" if name.startswith("pro") else "FOR PRESENTATION",
            )
        path = site.root / "short.dcm"
        path.write_bytes(path.read_bytes()[:200])
        site.dicom("ct.dcm", Modality="CT")
        (site.root / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (site.root / "empty.dcm").write_bytes(b"")
        boxes_csv(site, "good.dcm", "short.dcm")
        assert [*site.read()] == ["good.dcm"]
        codes = ["dicom-unusable"] * 3 + ["for-processing", "image-unreadable"]
        assert site.quarantined() == codes
        left_out = {each.image.name for each in site.audit.quarantined if each.image}
        assert left_out == {"short.dcm", "processing.dcm", "ct.dcm", "bad.png", "empty.dcm"}

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_that_may_not_be_read_are_quarantined(self, site: InHouse) -> None:
        site.png("a.png")
        site.png("b.png").chmod(0)
        boxes_csv(site, "a.png")
        assert [*site.read()] == ["a.png"]

    def test_that_stand_twice_count_once(self, site: InHouse) -> None:
        site.dicom("a.dcm", SOPInstanceUID="1.2.3")
        (site.root / "copy").mkdir()
        shutil.copy(site.root / "a.dcm", site.root / "copy" / "b.dcm")
        site.png("c.png")
        shutil.copy(site.root / "c.png", site.root / "a_copy_of_c.png")
        boxes_csv(site, "a.dcm", "c.png")
        assert [*site.read()] == ["a.dcm", "c.png"]
        assert site.quarantined() == ["image-repeated"]

    def test_of_one_uid_that_differ_are_all_left_out(self, site: InHouse) -> None:
        site.dicom("a.dcm", SOPInstanceUID="1.2.3")
        site.dicom("b.dcm", SOPInstanceUID="1.2.3", SeriesNumber=2)
        site.dicom("c.dcm")
        boxes_csv(site, "a.dcm", "c.dcm")
        assert [*site.read()] == ["c.dcm"]
        assert site.quarantined() == ["uid-conflict"] * 2

    def test_pictures_of_one_size_and_equal_ends_are_not_copies(self, site: InHouse) -> None:
        for number in range(2):
            pixels = drawn([]).repeat(3, axis=0).repeat(3, axis=1)
            pixels[130, number] = 1
            Image.fromarray(pixels).save(site._path(f"{number}.bmp"))
        boxes_csv(site, "0.bmp", "1.bmp")
        assert len(site.read()) == 2

    def test_with_a_uid_are_never_hashed(self, site: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mammo_monai.readers.folder.reader.sha256_of", lambda _: pytest.fail("hashed"))
        site.dicom("a.dcm")
        site.dicom("b.dcm")
        boxes_csv(site, "a.dcm")
        assert len(site.read()) == 2

    def test_of_one_picture_in_two_formats_the_annotated_one_is_read(self, site: InHouse) -> None:
        for name in ("left", "right"):
            site.dicom(f"dicom/p1/{name}.dcm")
            site.png(f"png/p1/{name}.png")
        site.text("b.csv", "file_name,xmin,ymin,xmax,ymax\nleft.png,1,2,30,40\n")
        assert [*site.read()] == ["dicom/p1/right.dcm", "png/p1/left.png"]
        assert site.quarantined() == ["image-repeated", "image-repeated"]

    def test_of_one_stem_may_both_be_annotated(self, site: InHouse) -> None:
        site.png("left.png")
        site.png("left.bmp")
        site.text("b.csv", "file_name,xmin,ymin,xmax,ymax\nleft.png,1,2,30,40\nleft.bmp,,,,\n")
        assert [*site.read()] == ["left.bmp", "left.png"]

    def test_none_at_all_is_one_clear_error(self, site: InHouse) -> None:
        boxes_csv(site, "a.png")
        with pytest.raises(
            ManifestError, match="expected DICOM, PNG, JPG or TIFF images below it, found none"
        ):
            site.read()
        with pytest.raises(ManifestError, match=r"elsewhere: no such folder"):
            read_folder(site.root / "elsewhere", Reading("s"))

    def test_masks_beside_them_are_none_even_if_boxes_come_from_a_table(self, site: InHouse) -> None:
        site.png("left.png")
        site.png("right_mask.png")
        Image.fromarray(drawn()).save(site.root / "left_mask.png")
        boxes_csv(site, "left.png", "right_mask.png")
        assert [*site.read(format="csv")] == ["left.png", "right_mask.png"]


class TestPatientSideAndView:
    def test_come_from_the_dicom_header(self, site: InHouse) -> None:
        site.dicom(
            "a/b/1.dcm",
            PatientID="p1",
            ImageLaterality="R",
            ViewPosition="MLO",
            ImagerPixelSpacing=[0.07, 0.05],
        )
        boxes_csv(site, "1.dcm")
        record = site.read()["a/b/1.dcm"]
        assert (record.patient_id, record.laterality, record.view_position) == (
            patient_id_of("p1", "s"),
            Laterality.RIGHT,
            ViewPosition.MLO,
        )
        assert record.pixel_spacing_mm == (0.07, 0.05)
        assert record.file_size == (site.root / "a/b/1.dcm").stat().st_size

    def test_come_from_the_name_before_the_header_because_somebody_said_so(self, site: InHouse) -> None:
        site.dicom("x/0017_RIGHT_CC.dcm", PatientID="ANONYMOUS")
        site.dicom("x/0018_LEFT_MLO.dcm", PatientID="ANONYMOUS")
        boxes_csv(site, "0017_RIGHT_CC.dcm", "0018_LEFT_MLO.dcm")
        records = site.read(name_pattern=PATTERN).values()
        assert [(r.patient_id, r.laterality, r.view_position) for r in records] == [
            (patient_id_of("0017", "s"), Laterality.RIGHT, ViewPosition.CC),
            (patient_id_of("0018", "s"), Laterality.LEFT, ViewPosition.MLO),
        ]

    def test_the_pattern_sees_folders_too(self, site: InHouse) -> None:
        site.png("P017/left.png")
        boxes_csv(site, "left.png")
        assert site.read(name_pattern=r"^(?P<patient>P\d+)/")["P017/left.png"].patient_id == (
            patient_id_of("P017", "s")
        )

    def test_a_side_that_contradicts_the_header_quarantines(self, site: InHouse) -> None:
        site.dicom("0017_RIGHT_CC.dcm", ImageLaterality="L")
        boxes_csv(site, "0017_RIGHT_CC.dcm")
        assert site.read(name_pattern=PATTERN) == {}
        assert site.quarantined() == ["identity-differs"]

    def test_a_name_that_does_not_match_quarantines(self, site: InHouse) -> None:
        site.png("0017_RIGHT_CC.png")
        site.png("scan.png")
        boxes_csv(site, "0017_RIGHT_CC.png")
        assert len(site.read(name_pattern=PATTERN)) == 1
        assert site.quarantined() == ["name-unmatched"]

    def test_the_folder_tells_the_patient_where_nothing_else_does(self, site: InHouse) -> None:
        for name in ("P1/left.png", "P1/right.png", "train/P2/mass/left_2.png"):
            site.png(name)
        boxes_csv(site, "P1/left.png", "left_2.png")
        names = [patient_id_of(name, "s") for name in ("P1", "P1", "P2")]
        assert [record.patient_id for record in site.read().values()] == names
        (finding,) = [each for each in site.audit.findings if each.code == "patient-from-folder"]
        assert finding.found.startswith("the patients of 3 images")

    def test_folders_of_classes_tell_no_patient(self, site: InHouse) -> None:
        site.png("images/mass/a.png")
        site.png("images/normal/b.png")
        boxes_csv(site, "a.png")
        assert len({record.patient_id for record in site.read().values()}) == 2
        assert "patient-unknown" in site.codes(Action.WARNED)

    def test_an_id_that_stands_for_many_is_warned_of(self, site: InHouse) -> None:
        names = [f"{number}.dcm" for number in range(41)]
        for name in names:
            site.dicom(name, size=(6, 9), PatientID="ANONYMOUS")
        boxes_csv(site)
        site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\n0.dcm,1,2,3,4\n")
        site.read(unlisted="normal")
        assert site.codes() == ["patient-crowded"]

    def test_that_a_name_pattern_caught_by_mistake_stays_out_of_the_audit(self, site: InHouse) -> None:
        site.png("Doe_CC.png")
        site.png("R_Doe.png")
        site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\nDoe_CC.png,1,2,3,4\nR_Doe.png,1,2,3,4\n")
        site.read(name_pattern="(?P<laterality>[^_]+)_(?P<view>.+)")
        assert {"laterality-unknown", "view-unknown"} <= set(site.codes())
        assert all("Doe" not in each.found for each in site.audit.findings)

    def test_nothing_of_the_patient_stands_in_the_audit(self, site: InHouse) -> None:
        site.dicom("Doe_Jane/Doe_1.dcm", PatientID="Doe^Jane")
        site.dicom("Doe_Jane/Doe_2.dcm", PatientID="Doe^Jane", Modality="CT")
        site.png("Doe_Jane/Doe_3.png")
        (site.root / "Doe_Jane/Doe_3.png").write_bytes(b"")
        site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\nDoe_1.dcm,1,2,300,4\nDoe_9.png,1,2,3,4\n")
        site.read()
        assert len(site.audit.findings) >= 4
        for finding in site.audit.findings:
            assert "doe" not in f"{finding.found} {finding.place} {finding.record_id}".lower()


class TestSplits:
    def test_folders_make_the_official_split(self, site: InHouse) -> None:
        for name in ("train/p1/a.png", "val/p2/a.png", "testing/p3/a.png", "p4/a.png"):
            site.png(name)
        boxes_csv(site, "train/p1/a.png")
        data_set = site.data_set()
        found = {record.patient_id: data_set.official.get(record.record_id) for record in data_set.records}
        splits = {"p1": Split.TRAINING, "p2": Split.VALIDATION, "p3": Split.TEST, "p4": None}
        assert found == {patient_id_of(name, "s"): split for name, split in splits.items()}

    def test_one_folder_alone_is_no_split(self, site: InHouse) -> None:
        site.png("train/p1/a.png")
        boxes_csv(site, "a.png")
        assert site.data_set().official == {}


class TestAnnotations:
    def test_that_could_belong_to_two_images_quarantine_both(self, site: InHouse) -> None:
        for name in ("p1/left.png", "p2/left.png", "p2/right.png"):
            site.png(name)
        boxes_csv(site, "left.png", "right.png")
        assert [*site.read()] == ["p2/right.png"]
        assert site.quarantined() == ["annotation-ambiguous"] * 2

    @pytest.mark.parametrize("is_apart_on_disk", [True, False])
    def test_find_images_whose_accents_are_spelt_otherwise(
        self, site: InHouse, is_apart_on_disk: bool
    ) -> None:
        name, said = (
            unicodedata.normalize("NFC", "Größe/é.png"),
            unicodedata.normalize("NFD", "Größe/é.png"),
        )
        if is_apart_on_disk:
            name, said = said, name
        site.png(name)
        site.text("b.csv", f"file_name,xmin,ymin,xmax,ymax\n{said},1,2,30,40\n")
        assert boxes_of(site.lesions(name)) == [(1, 2, 30, 40)]

    def test_joined_by_a_unique_name_are_said(self, site: InHouse) -> None:
        site.png("a/left.png")
        boxes_csv(site, "b/left.png")
        assert len(site.lesions("a/left.png")) == 1
        assert "joined-by-name" in site.codes(Action.REPAIRED)

    def test_of_no_kind_are_one_clear_error(self, site: InHouse) -> None:
        site.png("left.png")
        with pytest.raises(
            ManifestError, match=r"expected annotations \(.*coco.*\), found none: all images would seem"
        ):
            site.read()
        with pytest.raises(ManifestError, match="expected annotations in the format voc, found none"):
            site.read(format="voc")
        with pytest.raises(ManifestError, match="labels: no such folder"):
            site.read(annotations=site.root / "labels")
        table = site.text("table.csv", "image,comment\n")
        for options in ({}, {"annotations": table}):
            with pytest.raises(
                ManifestError, match=r"table\.csv: expected columns for the image .* found image, comment"
            ):
                site.read(**options)

    def test_of_two_kinds_ask_which(self, site: InHouse) -> None:
        site.png("left.png")
        boxes_csv(site, "left.png")
        site.text("left.xml", "<annotation/>")
        with pytest.raises(
            ManifestError, match=r"found csv \(1 files\), voc \(1 files\)\. Say which with --format"
        ):
            site.read()
        assert len(site.lesions("left.png", format="csv")) == 1
        assert len(site.lesions("left.png", format="voc")) == 0
        assert len(site.lesions("left.png", annotations=site.root / "boxes.csv")) == 1

    def test_in_a_folder_of_their_own_are_no_images(self, site: InHouse) -> None:
        site.png("pictures/left.png")
        (site.root / "drawings").mkdir()
        Image.fromarray(drawn()).save(site.root / "drawings" / "left.png")
        assert boxes_of(site.read(annotations=site.root / "drawings")["pictures/left.png"].lesions) == [
            *BOXES
        ]

    def test_strict_reading_fails_with_the_file_and_the_number_of_others(self, site: InHouse) -> None:
        for name in ("a", "b"):
            site.png(f"{name}.png")
        site.text("boxes.csv", "file_name,xmin,ymin,xmax,ymax\na.png,1,2,300,4\nb.png,1,2,300,4\n")
        with pytest.raises(
            ManifestError, match=r"a\.png.*outside the image of 60 × 90 px.* 1 more image has a fault"
        ):
            site.data_set(strict=True)

    def test_classes_must_mean_a_type(self, site: InHouse) -> None:
        site.png("a.png")
        with pytest.raises(
            ManifestError, match=r"class 'cyst' must mean one of mass, calcification.*got 'benign'"
        ):
            site.read(classes={"cyst": "benign"})


def test_workers_change_nothing(site: InHouse) -> None:
    names = [f"p{number}/{number}.png" for number in range(12)]
    for name in names:
        site.png(name)
    (site.root / names[5]).write_bytes(b"")
    boxes_csv(site, *names)
    first = site.data_set(workers=1)
    findings = site.audit.findings
    assert site.data_set(workers=4) == first
    assert site.audit.findings == findings


def test_record_ids_do_not_follow_the_folder(site: InHouse) -> None:
    site.png("p1/a.png")
    boxes_csv(site, "a.png")
    first = site.read()["p1/a.png"].record_id
    site.root = site.root.rename(site.root.with_name("moved"))
    assert site.read()["p1/a.png"].record_id == first


def test_progress_counts_every_image(site: InHouse) -> None:
    for name in ("a.png", "b.png"):
        site.png(name)
    boxes_csv(site, "a.png")
    steps: list[tuple[int, int]] = []
    reading = Reading("s", Audit(), on_progress=lambda done, total: steps.append((done, total)))
    read_folder(site.root, reading, FolderOptions())
    assert steps == [(1, 2), (2, 2)]


def test_headers_are_read_without_their_pixels(site: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = mammogram_dataset(drawn().astype("uint16"))
    site.root.mkdir()
    for number in range(200):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
        dataset.PatientID = f"p{number // 4}"
        dataset.save_as(site.root / f"{number}.dcm", enforce_file_format=True)
    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", lambda *_, **__: pytest.fail("decoded"))
    monkeypatch.setattr("mammo_monai.dicom.decoders.decode_stored_values", lambda *_: pytest.fail("decoded"))
    boxes_csv(site, *(f"{number}.dcm" for number in range(200)))
    assert len(site.read()) == 200
    assert site.codes() == []


def test_the_log_names_no_file_at_info(site: InHouse, caplog: pytest.LogCaptureFixture) -> None:
    site.png("Doe.png")
    boxes_csv(site, "Doe.png")
    with caplog.at_level(logging.INFO):
        site.read()
    assert "Doe" not in caplog.text
