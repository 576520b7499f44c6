from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.dicom.results import MarkedImage, ModelIdentity, build_result, model_identity
from mammo_monai.dicom.results.marks_file import marks_as_detections
from mammo_monai.errors import DicomError
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest, read_detections, write_detections, write_manifest
from tests.dicom.results.sources import BOXES, MODEL, SCORES, detections, digital_mammogram, nothing_marked


def result_at(path: Path, image: MarkedImage, *, kind: str = "sr", reviewed: bool = False) -> Path:
    build_result(kind, [image], MODEL, reviewed=reviewed).save_as(path, enforce_file_format=True)
    return path


def test_reports_become_detections_that_the_other_verbs_read(tmp_path: Path) -> None:
    marked = MarkedImage(digital_mammogram(uid="1.2.1"), detections())
    empty = MarkedImage(digital_mammogram(uid="1.2.2"), nothing_marked())
    content = marks_as_detections(
        [result_at(tmp_path / "a.dcm", marked), result_at(tmp_path / "b.dcm", empty)]
    )
    write_detections(tmp_path / "d.json", content.detections, content.model)
    read = read_detections(tmp_path / "d.json")
    assert model_identity(read.model) == MODEL
    first, second = read.detections
    np.testing.assert_allclose(first.boxes, BOXES, rtol=1e-7)
    np.testing.assert_allclose(first.scores, SCORES, rtol=1e-12)
    assert len(second.boxes) == 0
    assert len({first.record_id, second.record_id}) == 2
    assert first.image is None


def test_record_ids_and_paths_come_from_the_sources(tmp_path: Path) -> None:
    source = digital_mammogram(uid="1.2.1")
    image = tmp_path / "images" / "a.dcm"
    image.parent.mkdir()
    source.save_as(image, enforce_file_format=True)
    (image.parent / "note.txt").write_text("no image")
    report = result_at(tmp_path / "r.dcm", MarkedImage(source, detections()))
    (found,) = marks_as_detections([report], sources=image.parent).detections
    assert found.image == image
    record = ImageRecord(image, "known", "p", width=30, height=40)
    write_manifest(tmp_path / "m.json", Manifest(test=(record,)))
    (found,) = marks_as_detections([report], sources=tmp_path / "m.json").detections
    assert (found.record_id, found.image) == ("known", image)


def test_a_box_that_a_person_drew_is_certain(tmp_path: Path) -> None:
    found = detections(scores=np.array([0.5, np.nan]), probabilities=np.array([0.25, np.nan]))
    report = result_at(tmp_path / "r.dcm", MarkedImage(digital_mammogram(), found), reviewed=True)
    (read,) = marks_as_detections([report]).detections
    assert read.scores.tolist() == [0.5, 1.0]
    assert read.probabilities is not None
    assert read.probabilities.tolist() == [0.25, 1.0]


def test_marks_of_one_image_in_two_files_are_refused(tmp_path: Path) -> None:
    image = MarkedImage(digital_mammogram(), detections())
    files = [result_at(tmp_path / f"{kind}.dcm", image, kind=kind) for kind in ("sr", "seg")]
    with pytest.raises(DicomError, match=r"seg.dcm: expected marks of images that no other file has.*sr.dcm"):
        marks_as_detections(files)


def test_marks_of_two_models_are_refused(tmp_path: Path) -> None:
    other = replace(MODEL, threshold=0.5)
    for n, model in enumerate((MODEL, other)):
        image = MarkedImage(digital_mammogram(uid=f"1.2.{n}"), detections())
        build_result("sr", [image], model).save_as(tmp_path / f"{n}.dcm", enforce_file_format=True)
    with pytest.raises(
        DicomError, match=r"marks of one model, got mass_bundle 1.2.0 at 0.31, mass_.* at 0.5"
    ):
        marks_as_detections(sorted(tmp_path.glob("*.dcm")))


def test_no_files_are_no_detections_and_an_unknown_model_stays_unknown(tmp_path: Path) -> None:
    assert marks_as_detections([]).detections == ()
    anonymous = ModelIdentity("unnamed model", "unknown", None, "")
    image = MarkedImage(digital_mammogram(), detections())
    build_result("sr", [image], anonymous).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert model_identity(marks_as_detections([tmp_path / "a.dcm"]).model) == anonymous
