"""The MONAI Deploy application in its own environment: eight real films, and folders of many things."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from pydicom import dcmread
from pydicom.uid import CTImageStorage, DigitalMammographyXRayImageStorageForProcessing, generate_uid

from mammo_monai.apps import app_folder
from mammo_monai.cli.main import main
from mammo_monai.dicom.results import read_marks
from mammo_monai.schema import read_detections
from tests.dicom_factory import grey_ramp, write_mammogram

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-deploy" / "bin" / "python"
APP = app_folder("monai-deploy")
BUNDLE = "cbis_mass_detection"
FPPI = "0.5"  # as in the application's app.yaml

pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(),
    reason=".venv-deploy is not there: `make deploy-env` makes it, or says why not",
)


@dataclass(frozen=True)
class Run:
    """What a run of the application left."""

    code: int
    log: str
    output: Path
    seconds: float
    summary: Mapping[str, Any] = field(default_factory=dict)

    def results(self, kind: str) -> list[Path]:
        return sorted(self.output.glob(f"{kind}-*.dcm"))


def run_application(
    source: Path, output: Path, *options: str, start: tuple[str, ...] = (str(APP),), **environment: str
) -> Run:
    begin = time.monotonic()
    done = subprocess.run(
        [str(PYTHON), *start, "-i", str(source), "-o", str(output), *options],
        env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
        cwd=output.parent,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    seconds = time.monotonic() - begin
    path = output / "summary.json"
    summary = json.loads(path.read_text()) if path.is_file() else {}
    return Run(done.returncode, done.stdout + done.stderr, output, seconds, summary)


@pytest.fixture(scope="module")
def folder_of_films(films: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films alone, in a folder per study as a gateway lays them."""
    folder = tmp_path_factory.mktemp("films")
    for number, film in enumerate(films):
        (folder / str(number)).mkdir()
        shutil.copyfile(film, folder / str(number) / film.name)
    return folder


@pytest.fixture(scope="module")
def of_films(folder_of_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = run_application(folder_of_films, tmp_path_factory.mktemp("deploy") / "output")
    assert run.code == 0, run.log
    return run


def test_the_boxes_are_those_of_predict(
    of_films: Run, films: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, begin = tmp_path / "detections.json", time.monotonic()
    assert main(["predict", *map(str, films), "--bundle", BUNDLE, "--fppi", FPPI, "-o", str(output)]) == 0
    seconds = time.monotonic() - begin
    expected = {
        str(dcmread(each.image, stop_before_pixels=True).SOPInstanceUID): each
        for each in read_detections(output).detections
        if each.image is not None
    }
    found = {marks.source_uid: marks for each in of_films.results("sr") for marks in read_marks(each)}
    with_marks = {uid for uid, each in expected.items() if len(each.boxes)}
    assert with_marks <= set(found) <= set(expected)
    assert with_marks, "eight films of two patients with masses, and no mark on any"
    for uid in with_marks:
        assert_allclose(found[uid].boxes, expected[uid].boxes, atol=1e-4)
        assert_allclose(found[uid].scores, expected[uid].scores, atol=1e-4)
    with capsys.disabled():
        n_marks = sum(len(each.boxes) for each in expected.values())
        print(  # noqa: T201  # the issue asks for the times
            f"\nMONAI Deploy: 8 films, {n_marks} marks as predict, {of_films.seconds:.1f} s with start-up "
            f"(predict in a running Python: {seconds:.1f} s)"
        )


def test_every_film_has_its_report_and_overlay_in_its_own_study(of_films: Run, films: list[Path]) -> None:
    studies = sorted(str(dcmread(each, stop_before_pixels=True).StudyInstanceUID) for each in films)
    for kind in ("sr", "gsps"):
        results = of_films.results(kind)
        assert sorted(str(dcmread(each).StudyInstanceUID) for each in results) == studies
        named = [each["results"][kind] for each in of_films.summary["images"]]
        assert sorted(named) == [each.name for each in results]
    assert {each.name for each in of_films.output.iterdir()} == {
        "summary.json",
        *(each.name for kind in ("sr", "gsps") for each in of_films.results(kind)),
    }


def test_summary_and_log_name_no_patient(of_films: Run, films: list[Path]) -> None:
    assert of_films.summary["complete"] is True
    assert of_films.summary["counts"] == {"marked": 8, "failed": 0, "left_out": 0}
    assert of_films.summary["model"]["bundle"] == BUNDLE
    shown = of_films.log + (of_films.output / "summary.json").read_text()
    for film in films:
        header = dcmread(film, stop_before_pixels=True)
        for private in (header.PatientID, header.StudyInstanceUID, header.SOPInstanceUID, film.name):
            assert str(private) not in shown


@pytest.fixture(scope="module")
def mixed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies; one series holds both intents, an empty Series Number, and much that is no mammogram."""
    folder = tmp_path_factory.mktemp("mixed")

    def add(name: str, study: str, series: str, **tags: object) -> Path:
        uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": generate_uid()}
        side = {"ImageLaterality": "R", "ViewPosition": "CC", "SeriesNumber": None}
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        return write_mammogram(path, grey_ramp((420, 260)), tags={**uids, **side, **tags})

    add("a/1.dcm", "1.2.1", "1.2.1.1", SeriesNumber="", StudyDescription="SCREENING")
    raw = {
        "PresentationIntentType": "FOR PROCESSING",
        "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
    }
    add("a/2.dcm", "1.2.1", "1.2.1.1", **raw)
    add("b/1.2.840.113619.2.55", "1.2.2", "1.2.2.1", StudyDescription="RECALL", ViewPosition="MLO")
    add("b/2.dcm", "1.2.2", "1.2.2.2", Modality="CT", SOPClassUID=CTImageStorage)
    add("b/3.dcm", "1.2.2", "1.2.2.1", NumberOfFrames=3)
    whole = (folder / "a" / "1.dcm").read_bytes()
    (folder / "b" / "4.dcm").write_bytes(whole[:300])
    (folder / "b" / "letter.txt").write_text("no image")
    return folder


def test_what_is_not_marked_is_named_and_the_rest_is_marked(mixed_folder: Path, tmp_path: Path) -> None:
    module = ("-m", "mammo_monai.apps.monai_deploy")
    run = run_application(mixed_folder, tmp_path / "output", start=module)
    assert run.code == 0, run.log
    assert run.summary["counts"] == {"marked": 2, "failed": 0, "left_out": 5}
    reasons = [each["reason"] for each in run.summary["left_out"]]
    for expected in ("FOR PROCESSING", "got CT", "one frame, got 3"):
        assert sum(expected in each for each in reasons) == 1, reasons
    assert {str(dcmread(each).StudyInstanceUID) for each in run.results("sr")} == {"1.2.1", "1.2.2"}


def test_a_truncated_mammogram_fails_the_run_after_the_others_are_marked(
    mixed_folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(mixed_folder / "a", source)
    cut = source / "cut.dcm"
    tags = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", "SOPInstanceUID": generate_uid()}
    cut.write_bytes(write_mammogram(cut, grey_ramp((420, 260)), tags=tags).read_bytes()[:-50_000])
    run = run_application(source, tmp_path / "output")
    assert run.code == 1
    assert run.summary["counts"] == {"marked": 1, "failed": 1, "left_out": 1}
    assert run.summary["complete"] is False
    assert len(run.results("sr")) == 1


def test_a_site_chooses_kinds_views_and_series(mixed_folder: Path, tmp_path: Path) -> None:
    text = (APP / "app.yaml").read_text()
    rule = "{selections: [{name: screening, conditions: {StudyDescription: screening}}]}"
    for line, wanted in (
        ("results: [sr, gsps]", "results: [cad, sc, seg]"),
        ("views: []", "views: [CC]"),
        ("series: null", f"series: {rule}"),
        ("device: null", "device: cpu"),
    ):
        assert text.count(line) == 1
        text = text.replace(line, wanted)
    config = tmp_path / "site.yaml"
    config.write_text(text)
    # As packaged: the configuration and the bundle come by the environment.
    models = tmp_path / "models"
    shutil.copytree(ROOT / "bundles" / BUNDLE, models / BUNDLE)
    run = run_application(
        mixed_folder,
        tmp_path / "output",
        HOLOSCAN_CONFIG_PATH=str(config),
        HOLOSCAN_MODEL_PATH=str(models),
    )
    assert run.code == 0, run.log
    assert run.summary["counts"]["marked"] == 1
    assert [len(run.results(kind)) for kind in ("cad", "sc", "seg", "sr")] == [1, 1, 1, 0]
    assert sum("expected view CC, got MLO" in each["reason"] for each in run.summary["left_out"]) == 1


def test_a_folder_without_mammograms_ends_with_a_summary_and_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "letter.txt").write_text("no image")
    run = run_application(tmp_path / "source", tmp_path / "output")
    assert run.code == 1
    assert "no image was marked" in run.log
    assert run.summary["counts"] == {"marked": 0, "failed": 0, "left_out": 1}


def test_a_folder_that_is_no_bundle_ends_the_run_with_words_and_without_a_summary(
    mixed_folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "summary.json").write_text("{}")  # an earlier run's
    run = run_application(mixed_folder, output, "-m", str(mixed_folder))
    assert run.code == 1
    assert "expected a bundle's folder" in run.log
    assert "Traceback" not in run.log
    assert list(output.iterdir()) == []


def test_the_packager_reads_app_yaml() -> None:
    code = (
        "import sys; from pathlib import Path; from holoscan_cli.packager.config_reader import "
        "ApplicationConfiguration as A; a = A(); a.read(Path(sys.argv[1])); print(a.title())"
    )
    done = subprocess.run(
        [str(PYTHON), "-c", code, str(APP / "app.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mammograms" in done.stdout
