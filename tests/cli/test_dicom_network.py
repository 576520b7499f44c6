"""`mammo-monai dicom echo|find|pull|send`: what they print, and their exit codes."""

from __future__ import annotations

import json
import logging
import socket
import threading
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless
from pynetdicom import evt

from mammo_monai.cli.main import main
from mammo_monai.dicom.network import Peer, TlsFiles
from mammo_monai.dicom.network.commitment_messages import CommitmentReport, send_commitment_report
from mammo_monai.parts import part_name
from tests.dicom.network.archive_scp import ArchiveScp, aborting, image, report
from tests.dicom.network.conftest import certificates
from tests.dicom.network.web_server import WebServer

__all__ = ["certificates"]  # a fixture
HELD = [image(patient, number, syntax=RLELossless) for patient in (1, 2) for number in range(2)]


@pytest.fixture(autouse=True)
def _own_library_logging() -> None:
    logging.getLogger("pynetdicom").setLevel(logging.NOTSET)


def saved(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_echo_says_that_the_peer_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveScp() as archive:
        assert main(["dicom", "echo", str(archive.peer)]) == 0
        assert f"{archive.peer} answers, " in capsys.readouterr().out


def test_echo_of_nobody_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert main(["dicom", "echo", f"X@127.0.0.1:{bound.getsockname()[1]}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mammo-monai dicom: X@127.0.0.1:")
    assert "nothing listens there" in line


def test_find_prints_a_table_of_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveScp(held=HELD) as archive:
        assert main(["dicom", "find", str(archive.peer), "PatientID=*", "--limit", "2"]) == 0
    shown = capsys.readouterr()
    head, *lines = shown.out.splitlines()
    assert head.split() == ["StudyDate", "PatientName", "PatientID", "StudyInstanceUID"]
    assert [line.split() for line in lines] == [
        ["20240101", "Müller^1", "patient-1", "1.2.3.1"],
        ["20240102", "Müller^2", "patient-2", "1.2.3.2"],
    ]
    assert "2 matches, perhaps more: raise --limit" in shown.err


def test_find_prints_json_and_nothing_found(capsys: pytest.CaptureFixture[str]) -> None:
    with WebServer(held=HELD) as server:
        words = ["dicom", "find", server.url]
        assert main([*words, "PatientID=patient-2", "--level", "image", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert main([*words, "PatientID=nobody"]) == 0
    assert [row["SOPInstanceUID"] for row in rows] == [each.SOPInstanceUID for each in HELD[2:]]
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "0 matches\n")


def test_what_an_archive_says_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    held = image(1, 0, StudyDescription="a\x1b[2Jb")
    with WebServer(held=[held]) as server:
        assert main(["dicom", "find", server.url]) == 0
    assert "a [2Jb" in capsys.readouterr().out


def test_pull_fetches_and_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveScp(held=HELD) as archive:
        words = ["dicom", "pull", str(archive.peer), "-o", str(tmp_path / "films")]
        assert main([*words, "PatientID=patient-1"]) == 0
        assert main([*words, "PatientID=*"]) == 0
        assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{tmp_path / 'films'}: 2 received, 0 were there, 0 failed",
        f"{tmp_path / 'films'}: 2 received, 2 were there, 0 failed",
    ]
    assert "expected keys such as PatientID=7, got none. To fetch the whole archive, add --all" in shown.err


def test_an_option_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dicom", "find", "PACS@127.0.0.1:104", "--levle", "PatientID=7"]) == 2
    assert "unrecognized arguments: --levle. See dicom find --help" in capsys.readouterr().err
    assert main(["dicom", "echo", "PACS@127.0.0.1:104", "PatientID=7"]) == 2
    assert "unrecognized arguments: PatientID=7" in capsys.readouterr().err


def test_pull_of_all_needs_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with WebServer(held=HELD) as server:
        assert main(["dicom", "pull", server.url, "--all", "-o", str(tmp_path)]) == 0
    assert "4 received" in capsys.readouterr().out


def test_pull_by_move_listens_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with ArchiveScp(held=HELD, destinations={"US": port}) as archive:
        words = ["dicom", "pull", str(archive.peer), "PatientID=*", "-o", str(tmp_path), "--method", "move"]
        assert main([*words, "--calling-ae", "US", "--listen", f"127.0.0.1:{port}"]) == 0
        # Nobody knows this one: nothing is fetched, and it is said of each.
        assert main([*words, "--listen", f"127.0.0.1:{port}", "-o", str(tmp_path / "other")]) == 2
    shown = capsys.readouterr()
    assert "4 received" in shown.out
    assert shown.err.count("not fetched 1.2.3.") == 4


def test_send_reports_each_file_that_was_not_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        saved(report(f"1.2.9.{number}"), tmp_path / "in" / f"{number}.dcm")
    (tmp_path / "in" / "notes.txt").write_text("no DICOM")
    half = (tmp_path / "in" / "0.dcm").read_bytes()[:-20]
    (tmp_path / "in" / part_name("3.dcm")).write_bytes(half)  # a killed pull's
    with ArchiveScp(on_store=aborting(2)) as archive:
        assert main(["dicom", "send", str(archive.peer), str(tmp_path / "in")]) == 1
        assert main(["dicom", "send", str(archive.peer), str(tmp_path / "in")]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{archive.peer}: 2 sent, 0 refused, 1 failed",
        f"{archive.peer}: 3 sent, 0 refused, 0 failed",
    ]
    assert f"not sent {tmp_path / 'in' / '1.dcm'}: {archive.peer}: expected an answer to C-STORE" in shown.err


def test_send_of_nothing_that_arrives_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = saved(HELD[0], tmp_path / "film.dcm")
    (tmp_path / "empty").mkdir()
    with ArchiveScp(syntaxes=[ImplicitVRLittleEndian]) as archive:
        assert main(["dicom", "send", str(archive.peer), str(film)]) == 2
        assert "Send it decompressed (--decompress" in capsys.readouterr().err
        assert main(["dicom", "send", str(archive.peer), str(film), "--decompress"]) == 0
        assert main(["dicom", "send", str(archive.peer), str(tmp_path / "empty")]) == 2
    assert "expected DICOM files, found none of 0. Check the folder" in capsys.readouterr().err


def test_send_can_have_it_vouched_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    sop_class = str(report().SOPClassUID)

    def answer(event: evt.Event) -> tuple[int, None]:
        kept = CommitmentReport(
            str(event.action_information.TransactionUID),
            ((sop_class, "1.2.9.0"),),
            ((sop_class, "1.2.9.1", 0x0112),),
        )
        back = Peer("MAMMO_MONAI", "127.0.0.1", port)
        threading.Timer(0.1, lambda: send_commitment_report(back, kept, calling_ae_title="A")).start()
        return 0x0000, None

    files = [str(saved(report(f"1.2.9.{n}"), tmp_path / f"{n}.dcm")) for n in range(2)]
    with ArchiveScp(on_commit=answer) as archive:
        words = ["dicom", "send", str(archive.peer), *files, "--commit", "--listen", f"127.0.0.1:{port}"]
        assert main(words) == 1
    shown = capsys.readouterr()
    assert f"{archive.peer}: vouches for 1 of 2" in shown.out
    assert "not vouched for 1.2.9.1: no such instance (0112)" in shown.err
    assert main(["dicom", "send", "https://pacs.example.org", *files, "--commit"]) == 2
    assert "expected AETITLE@host:port for --commit" in capsys.readouterr().err


def test_tls_is_on_with_any_of_its_files(
    certificates: dict[str, TlsFiles],  # the fixture
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours = certificates["client"]
    files = ["--tls-cert", str(ours.certificate), "--tls-key", str(ours.key), "--tls-ca", str(ours.ca)]
    with ArchiveScp(tls=certificates["server"]) as archive:
        words = ["dicom", "echo", str(archive.peer), "--timeout", "5"]
        assert main([*words, *files]) == 0
        assert main(words) == 2
        assert main([*words, "--tls"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "it speaks TLS. Use TLS" in told[0]
    assert "expected a certificate we trust" in told[1]


def test_no_patient_data_reach_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveScp(held=HELD) as archive:
        main(["-v", "dicom", "pull", str(archive.peer), "PatientID=patient-1", "-o", str(tmp_path)])
        main(["-v", "dicom", "send", str(archive.peer), str(tmp_path)])
    shown = capsys.readouterr()
    assert "patient-1" not in shown.err + shown.out
    assert "Müller" not in shown.err + shown.out
