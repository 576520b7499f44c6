"""Orthanc as a hospital's archive: the eight real films go there and come back, by DIMSE and by DICOMweb.

Times are printed, never asserted: `-s` shows them (docs/how-to/pacs.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from mammo_monai.cli.main import main
from mammo_monai.dicom.network import (
    Listening,
    PullOutcome,
    Query,
    SendOutcome,
    echo,
    find,
    pull,
    request_storage_commitment,
    send,
)
from mammo_monai.dicom.network.dicomweb import DicomWeb
from tests.clinic.orthanc_server import Orthanc

ALL = Query.parse("study", ["PatientID=*"])
CALLING = "MAMMO_MONAI"


@contextmanager
def timed(what: str, n_films: int = 8) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(f"\n{what}: {seconds:.2f} s, {seconds / n_films:.3f} s each", end="")  # noqa: T201  # for whoever runs it with -s


def assert_sent(outcomes: Sequence[SendOutcome], films: Sequence[Path]) -> None:
    assert [(each.path, each.status, each.reason) for each in outcomes] == [
        (film, "sent", "") for film in films
    ]


def assert_same_films(
    outcomes: Sequence[PullOutcome], films: Sequence[Path], status: str = "received"
) -> None:
    """Syntax and pixel data are those that were sent, byte for byte."""
    sources = {each.SOPInstanceUID: each for each in map(dcmread, films)}
    assert {each.sop_instance_uid for each in outcomes} == set(sources)
    for outcome in outcomes:
        assert (outcome.status, outcome.reason) == (status, "")
        assert outcome.path is not None
        came, source = dcmread(outcome.path), sources[outcome.sop_instance_uid]
        assert came.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID == RLELossless
        assert came.PixelData == source.PixelData
        assert came.StudyInstanceUID == source.StudyInstanceUID


def test_orthanc_answers_an_echo(orthanc: Orthanc) -> None:
    with timed("C-ECHO", 1):
        assert echo(orthanc.peer) > 0
    with timed("QIDO-RS as echo", 1):
        assert DicomWeb(orthanc.dicomweb_url).echo() > 0


def test_films_sent_by_dimse_are_found_and_come_back_by_get(
    empty_orthanc: Orthanc, films: list[Path], tmp_path: Path
) -> None:
    peer = empty_orthanc.peer
    with timed("C-STORE of 8 films"):
        assert_sent(send(peer, films), films)
    with timed("C-STORE of the same again"):
        assert_sent(send(peer, films), films)
    assert len(empty_orthanc.rest("/instances")) == 8
    with timed("C-FIND, studies", 1):
        assert len(find(peer, ALL)) == 8
    with timed("C-FIND, the images of one patient, level by level", 1):
        images = find(peer, Query.parse("image", ["PatientID=*P_00173*", "Modality=MG"]))
    assert {each.PatientID.split("_P_")[1][:5] for each in images} == {"00173"}
    assert len(images) == 4
    with timed("C-GET of 8 films"):
        assert_same_films(pull(peer, ALL, tmp_path), films)
    with timed("C-GET again, all there"):
        assert_same_films(pull(peer, ALL, tmp_path), films, "present")


def test_films_come_back_by_move(
    empty_orthanc: Orthanc, films: list[Path], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    empty_orthanc.register(CALLING, port)
    send(empty_orthanc.peer, films)
    with timed("C-MOVE of 8 films"):
        outcomes = pull(
            empty_orthanc.peer, ALL, tmp_path, method="move", listening=Listening("127.0.0.1", port)
        )
    assert_same_films(outcomes, films)


def test_films_sent_by_dicomweb_are_found_and_come_back(
    empty_orthanc: Orthanc, films: list[Path], tmp_path: Path
) -> None:
    web = DicomWeb(empty_orthanc.dicomweb_url)
    with timed("STOW-RS of 8 films"):
        assert_sent(web.store(films), films)
    with timed("QIDO-RS, studies", 1):
        assert len(web.search(ALL)) == 8
    with timed("QIDO-RS, the images of one patient, level by level", 1):
        assert len(web.search(Query.parse("image", ["PatientID=*P_00173*", "Modality=MG"]))) == 4
    with timed("WADO-RS of 8 films"):
        assert_same_films(web.retrieve(ALL, tmp_path), films)
    assert_same_films(web.retrieve(ALL, tmp_path), films, "present")


def test_what_went_in_by_one_way_comes_out_by_the_other(
    empty_orthanc: Orthanc, films: list[Path], tmp_path: Path
) -> None:
    send(empty_orthanc.peer, films[:1])
    assert_same_films(DicomWeb(empty_orthanc.dicomweb_url).retrieve(ALL, tmp_path), films[:1])


def test_orthanc_vouches_for_what_it_was_sent(
    empty_orthanc: Orthanc, films: list[Path], free_port: Callable[[], int]
) -> None:
    port = free_port()
    empty_orthanc.register(CALLING, port)
    sent = {each.sop_instance_uid: each.sop_class_uid for each in send(empty_orthanc.peer, films[:2])}
    with timed("storage commitment of 3 instances, one of them unknown", 1):
        commitment = request_storage_commitment(
            empty_orthanc.peer,
            {**sent, "1.2.3": next(iter(sent.values()))},
            listening=Listening("127.0.0.1", port),
        )
    assert set(commitment.committed) == set(sent)
    assert commitment.failed == {"1.2.3": "no such instance (0112)"}


def test_the_command_does_the_round_trip(
    empty_orthanc: Orthanc, films: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, peer in (("dimse", str(empty_orthanc.peer)), ("web", empty_orthanc.dicomweb_url)):
        assert main(["dicom", "send", peer, *map(str, films[:4])]) == 0
        assert main(["dicom", "find", peer, "PatientID=*P_00173*"]) == 0
        assert main(["dicom", "pull", peer, "PatientID=*P_00173*", "-o", str(tmp_path / name)]) == 0
        told = capsys.readouterr().out
        assert f"{peer}: 4 sent, 0 refused, 0 failed" in told
        assert told.count("Mass-Test_P_00173_") >= 4
        assert "4 received, 0 were there, 0 failed" in told
    assert len(list(tmp_path.glob("*/*.dcm"))) == 8
