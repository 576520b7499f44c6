"""`dicom sr|cad|gsps|sc|seg` and `dicom marks`: files, exit codes, and what is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.cli.dicom_results import KINDS
from mammo_monai.cli.main import main
from mammo_monai.dicom.results import RESULT_KINDS, read_marks
from mammo_monai.records import Detections
from mammo_monai.schema import (
    read_detections,
    write_detections,
)
from mammo_monai.words import counted
from tests.dicom.results.sources import BOXES, digital_mammogram
from tests.operating_points import write_points

WEIGHTS = "ab" * 32


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """detections.json of two images: two marks on the first, none on the second."""
    files = []
    for n in (1, 2):
        files.append(tmp_path / "images" / f"{n}.dcm")
        files[-1].parent.mkdir(exist_ok=True)
        digital_mammogram(uid=f"1.2.3.{n}").save_as(files[-1], enforce_file_format=True)
    found = [
        Detections("one", BOXES, np.array([0.8, 0.4]), np.zeros(2, dtype=np.int64), files[0]),
        Detections("two", image=files[1]),
    ]
    model = {"bundle": str(tmp_path / "bundle"), "version": "1.2.0", "weights_sha256": WEIGHTS}
    write_detections(tmp_path / "d.json", found, model)
    return tmp_path / "d.json"


def calibrate(bundle: Path) -> None:
    (bundle / "configs").mkdir(parents=True)
    (bundle / "configs" / "metadata.json").write_text("{}")
    write_points(bundle / "models" / "operating_points.json", weights_sha256=(WEIGHTS,))


def test_the_verb_knows_the_kinds_of_the_library() -> None:
    assert tuple(KINDS) == RESULT_KINDS


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_every_kind_is_written_and_counted(
    kind: str, marks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["dicom", kind, str(marks), "-o", str(out)]) == 0
    n_files = 1 if kind == "cad" else 2
    assert capsys.readouterr().out == f"{out}: {counted(n_files, 'file')}, 2 marks, 0 images failed\n"
    assert dcmread(out / f"one_{kind}.dcm").StudyInstanceUID == digital_mammogram().StudyInstanceUID


@pytest.mark.parametrize("kind", ["sr", "cad", "seg"])
def test_what_is_written_reads_back(kind: str, marks: Path, tmp_path: Path) -> None:
    assert main(["dicom", kind, str(marks), "-o", str(tmp_path / "out")]) == 0
    files = [str(each) for each in sorted((tmp_path / "out").iterdir())]
    back = str(tmp_path / "back.json")
    assert main(["dicom", "marks", *files, "-o", back, "--sources", str(marks.parent / "images")]) == 0
    read = {each.image: each for each in read_detections(Path(back)).detections}
    for before in read_detections(marks).detections:
        np.testing.assert_allclose(read[before.image].boxes, before.boxes, rtol=1e-7)
        np.testing.assert_allclose(read[before.image].scores, before.scores, rtol=1e-12)


def test_an_image_without_a_result_is_named_and_the_code_is_one(
    marks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images" / "2.dcm").unlink()
    assert main(["dicom", "sr", str(marks), "-o", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "1 file, 2 marks, 1 image failed" in printed.out
    assert "no result for two: " in printed.err
    assert "found nothing there" in printed.err


def test_a_lowest_score_hides_marks(marks: Path, tmp_path: Path) -> None:
    assert main(["dicom", "sr", str(marks), "-o", str(tmp_path / "out"), "--min-score", "0.5"]) == 0
    (found,) = read_marks(tmp_path / "out" / "one_sr.dcm")
    assert found.scores.tolist() == [0.8]
    assert found.model.threshold == 0.5


def test_an_operating_point_of_the_bundle_hides_marks_and_calibrates(marks: Path, tmp_path: Path) -> None:
    calibrate(tmp_path / "bundle")
    assert main(["dicom", "sr", str(marks), "-o", str(tmp_path / "out"), "--fppi", "0.25"]) == 0
    (found,) = read_marks(tmp_path / "out" / "one_sr.dcm")
    assert (found.model.threshold, found.model.fppi) == (0.7, 0.25)
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [pytest.approx(0.8)]  # Platt's curve of slope 1 leaves scores


def test_an_operating_point_of_other_weights_is_refused(
    marks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(tmp_path / "bundle")
    content = read_detections(marks)
    write_detections(marks, content.detections, {**content.model, "weights_sha256": "ff" * 32})
    assert main(["dicom", "sr", str(marks), "-o", str(tmp_path / "out"), "--fppi", "0.25"]) == 2
    assert "but loaded are ffff" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_observer_verifies(marks: Path, tmp_path: Path) -> None:
    words = ["dicom", "sr", str(marks), "-o", str(tmp_path / "out"), "--observer", "Röntgen^W"]
    assert main(words) == 2
    assert main([*words, "--reviewed"]) == 0
    assert dcmread(tmp_path / "out" / "one_sr.dcm").VerificationFlag == "VERIFIED"


def test_a_capture_keeps_its_size_where_asked_for(marks: Path, tmp_path: Path) -> None:
    assert main(["dicom", "sc", str(marks), "-o", str(tmp_path / "out"), "--full-size"]) == 0
    assert dcmread(tmp_path / "out" / "one_sc.dcm").Columns == 30
