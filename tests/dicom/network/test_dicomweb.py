"""DICOMweb against a real HTTP server: search, retrieve, store, and what is said of every refusal."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from mammo_monai.dicom.network import Listening, NetworkError, PullOutcome, Query, SendOutcome, TlsFiles
from mammo_monai.dicom.network.archives import DimseArchive, archive_of
from mammo_monai.dicom.network.dicomweb import DicomWeb
from mammo_monai.dicom.network.web_requests import Credentials
from tests.dicom.network.archive_scp import ArchiveScp, image, report
from tests.dicom.network.web_server import Fault, WebServer, failing, warning

HELD = [image(patient, number, syntax=RLELossless) for patient in (1, 2) for number in range(3)]
ALL = Query.parse("study", ["PatientID=*"])
NOBODY = Credentials()


def client(server: WebServer, credentials: Credentials = NOBODY, **options: object) -> DicomWeb:
    return DicomWeb(server.url, credentials=credentials, back_off_s=0.01, timeout_s=10, **options)  # type: ignore[arg-type]


def statuses(outcomes: list[PullOutcome] | list[SendOutcome]) -> list[str]:
    return [each.status for each in outcomes]


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_server_answers_an_echo() -> None:
    with WebServer(held=HELD) as server:
        assert client(server).echo() > 0
        assert str(client(server)) == server.url


def test_images_of_a_patient_are_found_level_by_level() -> None:
    with WebServer(held=HELD) as server:
        found = client(server).search(Query.parse("image", ["PatientID=*-2", "Rows"]))
        paths = [path.partition("?")[0] for _, path, _ in server.seen if "offset" not in path]
    assert [each.SOPInstanceUID for each in found] == [each.SOPInstanceUID for each in HELD[3:]]
    assert (found[0].PatientName, found[0].Rows, found[0].Modality) == ("Müller^2", 40, "MG")
    study = "/dicom-web/studies/1.2.3.2"
    assert paths == [
        "/dicom-web/studies",
        f"{study}/series",
        f"{study}/series/1.2.3.2.1/instances",
        f"{study}/series/1.2.3.2.2/instances",
    ]
    # Orthanc takes an escaped wild card for a letter.
    assert "PatientID=*-2" in server.seen[0][1]
    assert server.seen[0][2]["Host"] == server.url.split("/")[2]


@pytest.mark.parametrize("knows_offset", [True, False])
def test_all_pages_of_matches_are_read(knows_offset: bool) -> None:
    with WebServer(held=HELD, page=1, knows_offset=knows_offset) as server:
        found = client(server).search(Query("study", {}))
        limited = client(server).search(Query("study", {}), limit=1)
    assert [each.StudyInstanceUID for each in found] == ["1.2.3.1", "1.2.3.2"][: 2 if knows_offset else 1]
    assert len(limited) == 1


def test_images_come_as_they_are_stored_and_only_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with WebServer(held=HELD) as server:
        kept = saved(image(9, 0), tmp_path / f"{HELD[0].SOPInstanceUID}.dcm").read_bytes()
        outcomes = client(server).retrieve(ALL, tmp_path, progress=lambda *n: seen.append(n))
        again = client(server).retrieve(ALL, tmp_path)
        accepted = {headers["Accept"] for _, path, headers in server.seen if "/instances/" in path}
    assert statuses(outcomes) == ["present", *["received"] * 5]
    assert statuses(again) == ["present"] * 6
    assert seen == [(n + 1, 5) for n in range(5)]
    assert accepted == {'multipart/related; type="application/dicom"; transfer-syntax=*'}
    assert (tmp_path / f"{HELD[0].SOPInstanceUID}.dcm").read_bytes() == kept
    for source in HELD[1:]:
        came = dcmread(tmp_path / f"{source.SOPInstanceUID}.dcm")
        assert came.file_meta.TransferSyntaxUID == RLELossless
        assert came.PixelData == source.PixelData


def at_instances(answer: Fault | str, only: str = "") -> Callable[[str, str], Fault | str | None]:
    return lambda method, path: answer if method == "GET" and f"/instances/{only}" in path else None


def test_an_image_that_is_gone_fails_alone(tmp_path: Path) -> None:
    gone = at_instances(Fault(404), str(HELD[1].SOPInstanceUID))
    with WebServer(held=HELD[:3], fault=gone) as server:
        outcomes = client(server).retrieve(ALL, tmp_path)
    assert statuses(outcomes) == ["received", "failed", "received"]
    assert "expected an image, got HTTP status 404: not found" in outcomes[1].reason


def test_a_busy_server_is_asked_again_after_the_time_it_names(tmp_path: Path) -> None:
    with WebServer(held=HELD[:1], fault=at_instances(Fault(503, 3, {"Retry-After": "0"}))) as server:
        assert statuses(client(server).retrieve(ALL, tmp_path)) == ["received"]
        assert sum("/instances/" in path for _, path, _ in server.seen) == 4


def test_a_server_that_stays_busy_or_hangs_up_is_given_up(tmp_path: Path) -> None:
    with WebServer(held=HELD, fault=at_instances("hang up")) as server:
        outcomes = client(server, attempts=2).retrieve(ALL, tmp_path)
        assert sum("/instances/" in path for _, path, _ in server.seen) == 6
    assert statuses(outcomes) == ["failed"] * 6
    assert "the connection failed (ConnectionError). Check host, port" in outcomes[0].reason
    assert "given up, the server is gone. Repeat it later: what is done is kept" in outcomes[5].reason
    assert list(tmp_path.iterdir()) == []


def test_another_image_than_asked_for_is_refused(tmp_path: Path) -> None:
    with WebServer(held=HELD[:1], sends_instead=HELD[1]) as server:
        (outcome,) = client(server).retrieve(ALL, tmp_path)
    assert "expected the image that was asked for, got another one" in outcome.reason
    assert list(tmp_path.iterdir()) == []


def test_files_and_data_sets_are_stored_as_they_are(tmp_path: Path) -> None:
    path = saved(HELD[0], tmp_path / "a.dcm")
    in_memory = report()
    large = image(1, 1)
    large.add_new(0x00091001, "OB", b"\0" * 3_000_000)  # more than one chunk
    seen: list[tuple[int, int]] = []
    with WebServer() as server:
        outcomes = client(server).store(
            [path, in_memory, large, tmp_path / "nowhere.dcm"], progress=lambda *n: seen.append(n)
        )
    assert statuses(outcomes) == ["sent", "sent", "sent", "failed"]
    assert seen[-1] == (4, 4)
    assert [each.SOPInstanceUID for each in server.stored] == [
        HELD[0].SOPInstanceUID,
        in_memory.SOPInstanceUID,
        large.SOPInstanceUID,
    ]
    assert server.stored[0].file_meta.TransferSyntaxUID == RLELossless
    assert server.stored[0].PixelData == HELD[0].PixelData
    np.testing.assert_array_equal(server.stored[2].pixel_array, large.pixel_array)


@pytest.mark.parametrize(
    ("answer", "status", "words", "is_retryable"),
    [
        ((200, failing(0xA900, "1.2.9")), "refused", "does not match its SOP class (A900)", False),
        ((409, failing(0xA700, "1.2.9")), "refused", "out of resources (A700)", True),
        ((202, failing(0x0122, "1.2.8")), "sent", "", False),
        ((200, warning(0xB006, "1.2.9")), "sent", "discarded data elements (B006)", False),
        ((409, Dataset()), "refused", "HTTP status 409: conflict: the server does not take it", False),
    ],
)
def test_what_the_server_says_of_an_instance_decides(
    answer: tuple[int, Dataset], status: str, words: str, is_retryable: bool
) -> None:
    with WebServer(stored_answer=answer) as server:
        (outcome,) = client(server).store([report("1.2.9")])
    assert (outcome.status, outcome.is_retryable) == (status, is_retryable)
    assert words in outcome.reason


def test_a_store_that_fails_is_tried_again_with_its_whole_body() -> None:
    fault = Fault(503, 2)
    with WebServer(fault=lambda method, _: fault if method == "POST" else None) as server:
        assert statuses(client(server).store([HELD[0]])) == ["sent"]
    assert server.stored[0].PixelData == HELD[0].PixelData


def test_a_server_that_is_gone_is_not_asked_for_every_file() -> None:
    with WebServer() as server:
        gone = client(server, attempts=1)
    outcomes = gone.store([report(f"1.2.{n}") for n in range(5)])
    assert statuses(outcomes) == ["failed"] * 5
    assert "given up, the server is gone" in outcomes[4].reason
    assert all(each.is_retryable for each in outcomes)


def test_a_server_error_on_a_store_may_be_tried_later() -> None:
    with WebServer(fault=lambda *_: Fault(500)) as server:
        (outcome,) = client(server, attempts=2).store([report()])
    assert (outcome.status, outcome.code, outcome.is_retryable) == ("failed", 500, True)


def test_a_file_that_vanishes_before_its_turn_fails_alone(tmp_path: Path) -> None:
    first, second = saved(HELD[0], tmp_path / "a.dcm"), saved(HELD[1], tmp_path / "b.dcm")
    from mammo_monai.dicom.network import dicomweb

    original = dicomweb.readable

    def then_gone(item: object) -> object:
        made = original(item)  # type: ignore[arg-type]
        if item == first:
            first.unlink()
        return made

    with pytest.MonkeyPatch.context() as patch, WebServer() as server:
        patch.setattr(dicomweb, "readable", then_gone)
        outcomes = client(server).store([first, second])
    assert statuses(outcomes) == ["failed", "sent"]
    assert not outcomes[0].is_retryable


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "bad request. The server may not support one of the keys."),
        (401, "not authorised. Set MAMMO_MONAI_DICOMWEB_USER and MAMMO_MONAI_DICOMWEB_PASSWORD, or MAMMO"),
        (403, "forbidden. These credentials may not do this"),
        (404, "not found. Is this the URL of its DICOMweb services, such as https://HOST/dicom-web?"),
        (418, "refused."),
        (501, "an error of the server. Its log says more."),
        (503, "an error of the server. Its log says more."),
    ],
)
def test_a_refusal_is_told_in_words_that_name_no_patient(status: int, words: str) -> None:
    with WebServer(fault=lambda *_: Fault(status, body=b"<html>patient-1</html>")) as server:
        with pytest.raises(NetworkError) as error:
            client(server).search(Query.parse("study", ["PatientID=patient-1"]))
        n_asked = len(server.seen)
    assert f"{server.url}: expected a search, got HTTP status {status}: {words}" in str(error.value)
    assert "patient-1" not in str(error.value)
    assert n_asked == (4 if status == 503 else 1)


@pytest.mark.parametrize("body", [b"<html>hello</html>", json.dumps([{"no tag": {}}]).encode()])
def test_an_answer_that_is_no_dicom_is_an_error(body: bytes) -> None:
    with (
        WebServer(fault=lambda *_: Fault(200, body=body)) as server,
        pytest.raises(NetworkError, match=r"Is this the URL of (its )?DICOMweb services\?"),
    ):
        client(server).search(Query("study", {}))


def test_a_server_that_says_nothing_is_given_up() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/dicom-web"
        web = DicomWeb(url, credentials=NOBODY, timeout_s=0.2, attempts=2, back_off_s=0.01)
        with pytest.raises(NetworkError, match="expected a search, no answer came in time"):
            web.echo()


def test_credentials_come_from_the_environment_and_are_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MAMMO_MONAI_DICOMWEB_USER", "anna")
    monkeypatch.setenv("MAMMO_MONAI_DICOMWEB_PASSWORD", "geheim")
    basic = base64.b64encode(b"anna:geheim").decode()
    with WebServer() as server:
        DicomWeb(server.url).echo()
        monkeypatch.setenv("MAMMO_MONAI_DICOMWEB_TOKEN", "t0ken")
        DicomWeb(server.url).echo()
    assert [headers["Authorization"] for _, _, headers in server.seen] == [f"Basic {basic}", "Bearer t0ken"]
    shown = caplog.text + repr(Credentials.of_environment())
    assert all(secret not in shown for secret in ("geheim", "t0ken", basic))
    assert "unencrypted" not in caplog.text  # it stays on this machine


@pytest.mark.parametrize(("host", "is_warned"), [("pacs.example.org", True), ("localhost", False)])
def test_credentials_without_encryption_are_warned_of(
    host: str, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    DicomWeb(f"http://{host}/dicom-web", credentials=Credentials(token="t"))
    assert (f"go unencrypted to {host}: use https" in caplog.text) == is_warned


def test_what_is_no_url_is_refused_without_its_password() -> None:
    with pytest.raises(NetworkError, match="expected a URL such as https://"):
        DicomWeb("ftp://pacs.example.org")
    with pytest.raises(NetworkError, match="expected a URL without user and password") as error:
        DicomWeb("https://anna:geheim@pacs.example.org/dicom-web")
    assert "geheim" not in str(error.value)


def test_tls_by_our_authority_and_certificate_works(certificates: dict[str, TlsFiles]) -> None:
    with WebServer(held=HELD, tls=certificates["server"]) as server:
        assert client(server, tls=certificates["client"]).echo() > 0
        joined = certificates["client"]
        assert joined.certificate is not None
        assert joined.key is not None
        both = joined.certificate.with_name("both.pem")
        both.write_bytes(joined.certificate.read_bytes() + joined.key.read_bytes())
        assert client(server, tls=TlsFiles(both, None, joined.ca)).echo() > 0


def test_a_certificate_of_a_stranger_is_not_trusted(certificates: dict[str, TlsFiles]) -> None:
    stranger = replace(certificates["stranger"], ca=None)
    with (
        WebServer(tls=stranger) as server,
        pytest.raises(NetworkError, match="a certificate we trust, got one that is not"),
    ):
        client(server, tls=TlsFiles(ca=certificates["client"].ca)).echo()


def test_an_archive_is_a_node_or_a_url(tmp_path: Path) -> None:
    with ArchiveScp(held=HELD) as scp, WebServer(held=HELD) as server:
        for text in (str(scp.peer), server.url):
            archive = archive_of(text, timeout_s=10)
            assert str(archive) == text
            assert archive.echo() > 0
            assert len(archive.search(ALL, limit=1)) == 1
            assert statuses(archive.store([report()])) == ["sent"]
            folder = tmp_path / type(archive).__name__
            assert statuses(archive.retrieve(ALL, folder)) == ["received"] * 6
    assert isinstance(archive_of("PACS@host:104"), DimseArchive)


@pytest.mark.parametrize(
    "options", [{"method": "get"}, {"listening": Listening("127.0.0.1", 1)}, {"decompress": True}]
)
def test_what_dicomweb_does_not_have_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(NetworkError, match="expected a DICOM node as AETITLE@host:port for --method"):
        archive_of("https://pacs.example.org/dicom-web", **options)  # type: ignore[arg-type]
