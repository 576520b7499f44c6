import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from mammo_monai.dicom.results import RESULT_KINDS, result_uid
from mammo_monai.dicom.results.identity import model_identity
from mammo_monai.dicom.results.write_results import WriteOptions, at_least, write_results
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import DetectionsFile, Manifest, write_manifest
from tests.dicom.results.sources import detections, digital_mammogram, nothing_marked
from tests.dicom_factory import lut_item

ABOUT = {
    "bundle": "mass_bundle",
    "version": "1.2.0",
    "weights_sha256": "ab" * 32,
    "operating_point": {"fppi": 0.5, "threshold": 0.31},
}


def written(folder: Path, n: int, **tags: object) -> Path:
    """Image number n of one study."""
    path = folder / f"{n}.dcm"
    folder.mkdir(parents=True, exist_ok=True)
    digital_mammogram(uid=f"1.2.3.{n}", **tags).save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def content(tmp_path: Path) -> DetectionsFile:
    """Two images of one study and one of another; the second has no mark."""
    first, second = written(tmp_path / "images", 1), written(tmp_path / "images", 2)
    third = written(tmp_path / "images", 3, StudyInstanceUID="1.9")
    return DetectionsFile(
        (
            detections(record_id="one", image=first),
            replace(nothing_marked("two"), image=second),
            detections(record_id="three", image=third),
        ),
        ABOUT,
    )


def test_a_table_that_cannot_be_taken_over_costs_its_image_alone(
    tmp_path: Path, content: DetectionsFile
) -> None:
    table = lut_item(np.arange(4, dtype=np.uint16))
    del table[0].LUTDescriptor
    written(tmp_path / "images", 1, VOILUTSequence=table)
    image = dcmread(tmp_path / "images" / "1.dcm")
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # LUT Data is US or OW, by its descriptor
    image.save_as(tmp_path / "images" / "1.dcm", enforce_file_format=True)
    done = write_results("gsps", content, tmp_path / "out")
    assert [each.name for each in done.files] == ["two_gsps.dcm", "three_gsps.dcm"]
    assert done.failed.keys() == {"one"}
    assert "LUTs and windows that a result can take over" in done.failed["one"]
    assert "export the image again" in done.failed["one"]


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_each_image_or_study_has_its_file(tmp_path: Path, content: DetectionsFile, kind: str) -> None:
    seen: list[tuple[int, int]] = []
    options = WriteOptions(on_progress=lambda done, total: seen.append((done, total)))
    done = write_results(kind, content, tmp_path / "out", options)
    ids = ["one", "three"] if kind == "cad" else ["one", "two", "three"]
    assert [each.name for each in done.files] == [f"{each}_{kind}.dcm" for each in ids]
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(
        each.name for each in done.files
    )
    assert (done.n_marks, done.failed) == (4, {})
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert dcmread(done.files[-1]).SOPInstanceUID == result_uid(kind, ["1.2.3.3"], model_identity(ABOUT))


def test_an_image_that_cannot_have_a_result_is_named_and_the_others_are_written(
    tmp_path: Path, content: DetectionsFile
) -> None:
    outside = detections(np.array([[0.0, 0, 99, 9]]), np.array([0.5]), record_id="off")
    lost = replace(nothing_marked("lost"), image=tmp_path / "none.dcm")
    found = (*content.detections, replace(outside, image=content.detections[0].image), lost)
    done = write_results("sr", DetectionsFile(found, ABOUT), tmp_path / "out")
    assert len(done.files) == 3
    assert set(done.failed) == {"lost", "off"}
    assert "outside the image of 30 × 40" in done.failed["off"]
    assert "found nothing there" in done.failed["lost"]


def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    tmp_path: Path, content: DetectionsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, *_) = write_results("sr", content, tmp_path / "out").files
    before = first.read_bytes()

    def full(path: Path, _: object) -> None:
        with path.open("wb") as stream:
            stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_results("sr", content, tmp_path / "out")
    assert first.read_bytes() == before
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize("name", ["../escaped", "a/b"])
def test_a_record_id_cannot_lead_out_of_the_folder(
    tmp_path: Path, content: DetectionsFile, name: str
) -> None:
    found = replace(content.detections[0], record_id=name)
    done = write_results("sr", DetectionsFile((found,), ABOUT), tmp_path / "out")
    assert "expected a record id that can name a file" in done.failed[name]
    assert not (tmp_path / "escaped_sr.dcm").exists()


def test_a_manifest_tells_that_an_image_has_changed_since(tmp_path: Path, content: DetectionsFile) -> None:
    image = content.detections[0].image
    assert image is not None
    record = ImageRecord(image, "one", "p", width=30, height=50)
    write_manifest(tmp_path / "manifest.json", Manifest(test=(record,)))
    options = WriteOptions(sources=tmp_path / "manifest.json")
    done = write_results("sr", DetectionsFile(content.detections[:2], ABOUT), tmp_path / "out", options)
    assert "expected an image of 50 rows, as when the boxes were found, got 40" in done.failed["one"]
    assert "expected an image of" in done.failed["two"]
    assert "with this record id, found none" in done.failed["two"]


def test_more_marks_than_anyone_looks_at_are_warned_of(
    tmp_path: Path, content: DetectionsFile, caplog: pytest.LogCaptureFixture
) -> None:
    many = detections(np.tile([[1.0, 1, 9, 9]], (11, 1)), np.full(11, 0.5), record_id="many")
    image = content.detections[0].image
    with caplog.at_level(logging.WARNING):
        write_results("sr", DetectionsFile((replace(many, image=image),), ABOUT), tmp_path / "out")
    assert "11 marks per image" in caplog.text
    assert "--fppi N" in caplog.text


def test_marks_below_a_lowest_score_go_and_the_threshold_is_noted() -> None:
    found = detections(probabilities=np.array([0.67, 0.1]))
    kept = at_least(DetectionsFile((found, nothing_marked("b")), ABOUT), 0.5)
    assert kept.detections[0].scores.tolist() == [0.8312]
    assert kept.detections[0].probabilities is not None
    assert kept.detections[0].probabilities.tolist() == [0.67]
    assert len(kept.detections[1].boxes) == 0
    identity = model_identity(kept.model)
    assert (identity.threshold, identity.fppi) == (0.5, None)


def test_a_lowest_score_below_the_operating_point_leaves_it() -> None:
    kept = at_least(DetectionsFile((Detections("a"),), ABOUT), 0.2)
    assert (model_identity(kept.model).threshold, model_identity(kept.model).fppi) == (0.31, 0.5)
    with pytest.raises(ValueError, match=r"the lowest score must be from 0 to 1, got 1\.5"):
        at_least(kept, 1.5)
