"""A node's configuration, ports, peers and certificates, against a real peer on loopback."""

from __future__ import annotations

import errno
import json
import shlex
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from mammo_monai.cli.main import build_parser, main
from mammo_monai.dicom.network.peers import TlsFiles
from mammo_monai.doctor.certificates import certificate_findings
from mammo_monai.doctor.clinic import _not_bound, destination_finding, findings, port_finding
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.hiding import for_others
from mammo_monai.service.node.settings import Destination
from tests.dicom.network.archive_scp import ArchiveScp


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def looked_at(folder: Path, **changes: Any) -> dict[str, Finding]:
    content: dict[str, Any] = {
        "folder": "queue",
        "marking": {"bundle": "cbis_mass_detection"},
        "receiving": {"port": free_port(), "calling_ae_titles": ["MODALITY"]},
        "destinations": [{"name": "ward-3", "peer": f"NOBODY@127.0.0.1:{free_port()}"}],
        "http": {"port": free_port()},
    }
    path = folder / "node.json"
    path.write_text(json.dumps(content | changes))
    return {each.name: each for each in findings({"node": str(path)}) if isinstance(each, Finding)}


def certificate(folder: Path, name: str, days: float, *, from_days: float = -1.0) -> TlsFiles:
    """A certificate that ends in so many days, with its key."""
    now = datetime.now(timezone.utc)
    leaf = trustme.CA().issue_cert("node.example.org", not_after=now + timedelta(days=days))
    if from_days > 0:
        leaf = trustme.CA().issue_cert(
            "x", not_before=now + timedelta(from_days), not_after=now + timedelta(days)
        )
    files = TlsFiles(folder / f"{name}.pem", folder / f"{name}.key")
    leaf.cert_chain_pems[0].write_to_path(str(files.certificate))
    leaf.private_key_pem.write_to_path(str(files.key))
    Path(str(files.key)).chmod(0o600)
    return files


def judged(tls: TlsFiles) -> list[Finding]:
    return list(certificate_findings("clinic", "receiving", tls, datetime.now(timezone.utc).timestamp()))


def test_a_peer_that_answers_and_free_ports_are_well(tmp_path: Path) -> None:
    with ArchiveScp(services=("echo",)) as archive:
        found = looked_at(tmp_path, destinations=[{"name": "ward-3", "peer": str(archive.peer)}])
    assert {name: each.level for name, each in found.items() if each.level is Level.FAULT} == {}
    assert "answers" in found["destination 1"].found
    assert "is free" in found["DICOM port"].found


def test_the_command_of_the_page_asks_the_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = "mammo-monai doctor --only clinic --node node.json"
    with ArchiveScp(services=("echo",)) as archive:
        looked_at(tmp_path, destinations=[{"name": "ward-3", "peer": str(archive.peer)}])
        code = main(command.split()[1:])
    shown = capsys.readouterr().out
    assert code in (0, 1), shown  # a disk with little room would be a warning
    assert "node.json is sound" in shown
    assert f"ward-3 ({archive.peer}) answers" in shown


def test_a_peer_that_is_silent_is_a_fault_that_names_nobody_to_others(tmp_path: Path) -> None:
    silent = looked_at(tmp_path)["destination 1"]
    assert silent.level is Level.FAULT
    assert silent.fix.startswith("mammo-monai dicom echo NOBODY@127.0.0.1:")
    told = json.dumps(for_others(silent).as_json())
    assert not any(word in told for word in ("NOBODY", "127.0.0.1", "ward-3"))


def test_the_command_that_asks_a_destination_asks_as_the_node_does(tmp_path: Path) -> None:
    tls = TlsFiles(ca=tmp_path / "ward 3" / "ca.pem")
    found = destination_finding(1, Destination("pacs", peer="PACS@127.0.0.1:1", tls=tls), "NODE")
    words = shlex.split(found.fix)
    asked = build_parser().parse_args(words[1:])
    assert (asked.peer, asked.calling_ae, asked.tls, asked.tls_ca) == (
        "PACS@127.0.0.1:1",
        "NODE",
        True,
        tls.ca,
    )
    told = json.dumps(for_others(found).as_json())
    assert not any(word in told for word in ("PACS", "NODE", "ward 3"))


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = port_finding("DICOM port", "127.0.0.1", taken.getsockname()[1])
    assert found.level is Level.WARNING
    assert "ss -ltnp" in found.fix


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "not allowed"),
        (socket.gaierror(-2, "unknown"), "unknown"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "unknown"),
        (OSError(errno.EAFNOSUPPORT, "Address family not supported"), "not supported"),
    ],
)
def test_a_port_that_cannot_be_had_is_a_fault(error: OSError, said: str) -> None:
    found = _not_bound("DICOM port", ("node.example.org:104", 104), error, ("node.example.org",))
    assert found.level is Level.FAULT
    assert said in found.found
    assert "all is well" not in found.why


def test_an_address_of_another_machine_is_a_fault() -> None:
    found = port_finding("DICOM port", "203.0.113.7", free_port())  # of documentation: RFC 5737
    assert found.level is Level.FAULT


def test_of_a_configuration_that_cannot_be_nothing_is_told_to_others(tmp_path: Path) -> None:
    wrong = looked_at(
        tmp_path, destinations=[{"name": "ward-3", "peer": "ST MARYS PACS LONG@ward.example:x"}]
    )
    assert "MARYS" in wrong["configuration"].found
    told = json.dumps(for_others(wrong["configuration"]).as_json())
    assert not any(word in told for word in ("MARYS", "ward", str(tmp_path), "node.json"))
    sound = looked_at(tmp_path)["configuration"]
    assert for_others(sound).found == "[hidden] is sound"


def test_a_configuration_that_cannot_be_is_a_fault(tmp_path: Path) -> None:
    found = looked_at(tmp_path, kinds=["pdf"])
    assert list(found) == ["configuration"]
    assert found["configuration"].fix == f"mammo-monai serve --check {tmp_path / 'node.json'}"
    assert list(findings({"node": None})) == []


def test_a_node_open_to_anybody_and_its_certificates_are_told(tmp_path: Path) -> None:
    files = certificate(tmp_path, "node", 400)
    tls = {"certificate": str(files.certificate), "key": str(files.key)}
    found = looked_at(tmp_path, receiving={"port": free_port(), "anybody": True, "tls": tls})
    assert found["configuration"].level is Level.WARNING
    assert found["certificate of receiving"].level is Level.OK
    assert found["key of receiving"].level is Level.OK


@pytest.mark.parametrize(
    ("days", "from_days", "level", "said"),
    [
        (400, -1, "ok", "is valid until"),
        (10, -1, "warning", "days)"),
        (-2, -1, "fault", "ended on"),
        (40, 20, "fault", "begins on"),
    ],
)
def test_certificates_are_judged_by_their_days(
    tmp_path: Path, days: float, from_days: float, level: str, said: str
) -> None:
    found = judged(certificate(tmp_path, "node", days, from_days=from_days))[0]
    assert found.level.value == level
    assert said in found.found


def authorities(folder: Path, *days: float) -> Finding:
    """What is found of a file with authorities that end in so many days."""
    texts = []
    for number, each in enumerate(days):
        files = certificate(folder, str(number), each)
        texts.append(Path(str(files.certificate)).read_text())
    path = folder / "authorities.pem"
    path.write_text("".join(texts))
    (found,) = judged(TlsFiles(ca=path))
    return found


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        ((400, -2), "warning", "1 of 2 in authorities.pem ended"),
        ((-2, -3), "fault", "ended on"),
        ((400, 300), "ok", "is valid until"),
        ((400, 10), "warning", "days)"),
    ],
)
def test_one_authority_that_ended_beside_others_is_no_fault(
    tmp_path: Path, days: tuple[float, ...], level: str, said: str
) -> None:
    found = authorities(tmp_path, *days)
    assert found.level.value == level
    assert said in found.found


def test_files_that_are_no_certificate_and_keys_that_all_can_read_are_told(tmp_path: Path) -> None:
    files = certificate(tmp_path, "node", 400)
    Path(str(files.key)).chmod(0o644)
    assert judged(files)[1].fix == f"chmod 600 {files.key}"
    Path(str(files.certificate)).write_text("no certificate")
    missing = TlsFiles(files.certificate, tmp_path / "gone.key", tmp_path / "gone.ca")
    assert [each.level for each in judged(missing)] == [Level.FAULT] * 3
