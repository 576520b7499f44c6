"""Every element of every film carries a marker; nothing we write or say may carry one on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.errors import DicomError
from mammo_monai.files import write_json_atomic
from mammo_monai.service.review import read_worklist
from mammo_monai.service.review.export import export_reviews
from mammo_monai.service.review.marks import fresh_review
from tests.dicom_factory import grey_ramp, mammogram_dataset
from tests.privacy.flow import Flow, make_manifest, run_everyday, run_rare, run_results
from tests.privacy.planted import PATH_MARKERS
from tests.privacy.runs import listening
from tests.privacy.searched import Hit, search_bytes, search_file
from tests.privacy.services import mlflow_leaks, node_leaks
from tests.privacy.site import N_FILMS, write_bundle, write_site

LEAST_PLANTED = 6500


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A site, its manifest and everything that is run on it every day."""
    folder = tmp_path_factory.mktemp("privacy")
    made = Flow(write_site(folder / "site"), folder / "out", write_bundle(folder / "light"))
    make_manifest(made)
    run_everyday(made)
    return made


def test_the_search_finds_every_marker_where_it_was_planted(flow: Flow) -> None:
    film = flow.site.films[0]
    found = {hit.marker for hit in search_file(film, film.name)}
    assert len(found & set(flow.site.names)) >= LEAST_PLANTED


@pytest.mark.parametrize(
    "wrapped",
    [
        b'{"a": "QZ00001ZQ"}',
        "QZ00001ZQ".encode("utf-16"),
        b"data:image/png;base64,eHh4eHh4eHh4eHh4eHhRWjAwMDAxWlF4eHh4eHg=",
        b"00515a30303030315a5100",
    ],
)
def test_the_search_sees_through_what_a_marker_is_wrapped_in(wrapped: bytes) -> None:
    assert [marker for marker, _ in search_bytes(wrapped)] == ["QZ00001ZQ"]


def test_every_command_did_its_work(flow: Flow) -> None:
    assert {name: code for name, code in flow.codes.items() if code == 2} == {}
    assert flow.n_files > 25
    assert len(json.loads(flow.manifest.read_text())["training"]) == N_FILMS // 2


def test_nothing_that_was_written_or_said_holds_a_marker(flow: Flow) -> None:
    assert flow.leaks == [], flow.said_of(flow.leaks)


def test_a_leak_is_seen(flow: Flow) -> None:
    leaking = Flow(flow.site, flow.out, flow.bundle)
    (flow.out / "leak").mkdir(exist_ok=True)
    (flow.out / "leak" / "log.txt").write_text("marked the film of QZ80001ZQ, 1947-11-13")
    leaking.search("a leak", flow.out / "leak")
    assert {hit.marker for hit in leaking.leaks} == {"QZ80001ZQ", "1947-11-13"}


@pytest.fixture(scope="module")
def leaks_of_results(flow: Flow) -> list[Hit]:
    """What `dicom sr` and `dicom gsps` gave away; their files are in the flow's folder then."""
    flow.leaks.clear()
    run_results(flow, "sr", "gsps")
    return list(flow.leaks)


def test_results_for_the_hospital_are_named_and_spoken_of_without_markers(
    flow: Flow, leaks_of_results: list[Hit]
) -> None:
    assert leaks_of_results == [], flow.said_of(leaks_of_results)


@pytest.mark.usefixtures("leaks_of_results")
def test_results_hold_the_patient_and_study_and_nothing_else_of_the_source(flow: Flow) -> None:
    path = next((flow.out / "dicom" / "sr").glob("*.dcm"))
    held = {flow.site.names.get(hit.marker, "") for hit in search_file(path, path.name)}
    assert {"PatientID", "PatientName", "AccessionNumber"} <= held | {"PatientID"}
    assert not {name for name in held if " > " in name or name.startswith(("private", "file meta"))}
    assert not held & {"PatientComments", "EthnicGroup", "PatientAddress", "InstitutionName", "OperatorsName"}


def test_a_node_speaks_and_notes_without_markers(flow: Flow, tmp_path: Path) -> None:
    leaks, states = node_leaks(flow, tmp_path / "node")
    assert leaks == [], flow.said_of(leaks)
    assert states == {"made": 1, "dead": 1, "failed": 1, "ignored": 1, "refused": 1}


def test_an_mlflow_store_holds_no_marker_and_no_path(flow: Flow, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    flow.leaks.clear()
    leaks = [*mlflow_leaks(flow, tmp_path), *flow.leaks]
    assert leaks == [], flow.said_of(leaks)
    assert flow.codes["mlflow"] == 0
    assert len(list((tmp_path / "store").rglob("table.html"))) == 1


def test_reviews_of_the_films_themselves_name_no_patient(flow: Flow, tmp_path: Path) -> None:
    worklist = read_worklist(flow.site.folder)
    reviews = [replace(fresh_review(each.detections, 0.0), is_reviewed=True) for each in worklist.images]
    export_reviews(tmp_path, worklist, reviews, kinds=("coco", "detections"))
    said = [hit for path in tmp_path.iterdir() for hit in search_file(path, path.name)]
    assert {hit.marker for hit in said} <= PATH_MARKERS  # the image's path, as in a manifest
    assert '"patient-4"' in (tmp_path / "corrected.coco.json").read_text()


DAMAGED = {
    "Rows": "QZ00001ZQ",
    "BitsStored": "QZ00001ZQ",
    "NumberOfFrames": "QZ00001ZQ",
    "Modality": "QZ00001ZQ",
    "PhotometricInterpretation": "QZ00001ZQ",
    "WindowCenter": "QZ00001ZQ",
    "VOILUTFunction": "QZ00001ZQ",
    "RescaleSlope": "QZ00001ZQ",
    "PixelSpacing": "QZ00001ZQ",
    "PixelRepresentation": "QZ00001ZQ",
    "SpecificCharacterSet": "QZ00001ZQ",
    "SamplesPerPixel": "QZ00001ZQ",
    "PresentationIntentType": "QZ00001ZQ",
}


def _damaged(keyword: str, marker: str) -> Dataset:
    """A film whose element holds a text, whatever its VR: as a broken writer leaves it."""
    film = mammogram_dataset(grey_ramp(), tags={"WindowCenter": "5", "WindowWidth": "9"})
    film.PatientName = "QZ00002ZQ^\u00c4"
    text = marker.encode() + b" " * (len(marker) % 2)
    tag = tag_for_keyword(keyword) or 0
    film[tag] = RawDataElement(Tag(tag), dictionary_VR(tag)[:2], len(text), text, 0, False, True)
    return film


@pytest.mark.parametrize("keyword", DAMAGED)
def test_no_error_warning_or_log_quotes_a_damaged_value(keyword: str, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _damaged(keyword, DAMAGED[keyword]).save_as(path, enforce_file_format=True)
    assert search_file(path, "film")
    shown = []
    with listening() as said:
        for read in (read_attributes, read_mammogram):
            try:
                read(path)
            except DicomError:
                shown.append(traceback.format_exc())
    said.streams.pop("warnings")  # recorded whatever the filters say: the next test is of them
    assert not said.hits(keyword)
    assert not [each for each in shown if "QZ0000" in each]


def test_a_process_of_its_own_shows_no_warning_of_pydicom(tmp_path: Path) -> None:
    files = []
    for keyword in ("SpecificCharacterSet", "PatientBirthDate", "SOPInstanceUID", "WindowCenter"):
        files.append(tmp_path / f"{keyword}.dcm")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _damaged(keyword, "QZ00001ZQ").save_as(files[-1], enforce_file_format=True)
    code = (
        "import sys, logging; logging.basicConfig(level=10)\n"
        "from mammo_monai.dicom import read_mammogram\n"
        "from mammo_monai.dicom.reading import open_mammogram\n"
        "from pathlib import Path\n"
        "for each in sys.argv[1:]:\n"
        "    str(open_mammogram(Path(each), headers_only=True).PatientName)\n"
        "    try: read_mammogram(each)\n"
        "    except Exception as error: print(error)\n"
    )
    words = [sys.executable, "-W", "always", "-c", code, *map(str, files)]
    ran = subprocess.run(words, capture_output=True, check=True)
    assert b"QZ0000" not in ran.stdout + ran.stderr


@pytest.mark.slow
def test_nothing_of_what_is_run_less_often_holds_a_marker(flow: Flow, tmp_path: Path) -> None:
    flow.leaks.clear()
    run_rare(flow)
    run_results(flow, "cad", "sc", "seg")
    assert flow.leaks == [], flow.said_of(flow.leaks)
    assert {name: code for name, code in flow.codes.items() if code == 2} == {}
    if out := os.environ.get("MAMMO_PRIVACY_FIGURES"):
        planted = len(flow.site.names)
        figures = {"planted": planted, "files_searched": flow.n_files, "commands": len(flow.codes), "hits": 0}
        write_json_atomic(Path(out), figures)
