"""Fetching from a real SCP: by C-GET and C-MOVE, again after a break, and never half a file."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from pynetdicom import evt

from mammo_monai.dicom.network import Listening, NetworkError, PullOutcome, Query, pull
from mammo_monai.dicom.network.arrivals import Arrivals
from mammo_monai.dicom.network.pulling import wanted_of
from mammo_monai.dicom.network.storage_server import StoreStatus
from tests.dicom.network.archive_scp import ArchiveScp, image

SYNTAXES = [RLELossless, ExplicitVRLittleEndian, JPEGLSLossless, JPEG2000Lossless]
HELD = [image(1, number, syntax=syntax) for number, syntax in enumerate(SYNTAXES)] + [image(2, 0)]
OF_PATIENT_1 = Query.parse("study", ["PatientID=patient-1"])
ALL = Query.parse("study", ["PatientID=*"])


def statuses(outcomes: list[PullOutcome]) -> list[str]:
    return [each.status for each in outcomes]


@pytest.fixture
def listening() -> Listening:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return Listening("127.0.0.1", bound.getsockname()[1])


def assert_are_held(outcomes: list[PullOutcome], held: list[Dataset]) -> None:
    assert [each.sop_instance_uid for each in outcomes] == [each.SOPInstanceUID for each in held]
    for outcome, source in zip(outcomes, held, strict=True):
        assert outcome.path is not None
        assert outcome.path.name == f"{source.SOPInstanceUID}.dcm"
        came = dcmread(outcome.path)
        assert came.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
        assert came.PixelData == source.PixelData


def test_images_come_as_they_are_stored_named_by_their_uid(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with ArchiveScp(held=HELD) as archive:
        outcomes = pull(archive.peer, OF_PATIENT_1, tmp_path / "new", progress=lambda *n: seen.append(n))
    assert statuses(outcomes) == ["received"] * 4
    assert_are_held(outcomes, HELD[:4])
    assert seen == [(n + 1, 4) for n in range(4)]
    assert len(list((tmp_path / "new").iterdir())) == 4


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    with ArchiveScp(held=HELD) as archive:
        pull(archive.peer, OF_PATIENT_1, tmp_path)
        kept = tmp_path / f"{HELD[0].SOPInstanceUID}.dcm"
        kept.write_bytes(b"mine")
        (tmp_path / f"{HELD[1].SOPInstanceUID}.dcm").unlink()
        outcomes = pull(archive.peer, ALL, tmp_path)
    assert statuses(outcomes) == ["present", "received", "present", "present", "received"]
    assert kept.read_bytes() == b"mine"


def test_nothing_found_is_nothing_fetched(tmp_path: Path) -> None:
    with ArchiveScp(held=HELD) as archive:
        assert pull(archive.peer, Query.parse("study", ["PatientID=nobody"]), tmp_path) == []


def test_move_sends_to_a_server_that_runs_meanwhile(tmp_path: Path, listening: Listening) -> None:
    with ArchiveScp(held=HELD, destinations={"MAMMO_MONAI": listening.port}) as archive:
        outcomes = pull(archive.peer, OF_PATIENT_1, tmp_path, method="move", listening=listening)
    assert_are_held(outcomes, HELD[:4])


def test_a_peer_without_get_is_asked_to_move(tmp_path: Path, listening: Listening) -> None:
    services = ["store", "find", "move"]
    destinations = {"MAMMO_MONAI": listening.port}
    with ArchiveScp(held=HELD, services=services, destinations=destinations) as archive:
        outcomes = pull(archive.peer, ALL, tmp_path, listening=listening)
    assert_are_held(outcomes, HELD)


@pytest.mark.parametrize("services", [["find"], ["find", "store"]])
def test_a_peer_without_get_and_an_unknown_address_is_an_error(services: list[str], tmp_path: Path) -> None:
    with ArchiveScp(held=HELD, services=services) as archive:
        with pytest.raises(NetworkError, match=r"to offer C-GET to us, it does not\. C-MOVE needs an"):
            pull(archive.peer, ALL, tmp_path)
        with pytest.raises(NetworkError, match=r"to offer C-GET to us, it does not\.$"):
            pull(archive.peer, ALL, tmp_path, method="get")
        with pytest.raises(NetworkError, match=r"C-MOVE needs an address .* \(--listen HOST:PORT\)"):
            pull(archive.peer, ALL, tmp_path, method="move")


def test_a_peer_that_accepts_get_and_then_does_not_know_it_is_asked_to_move(
    tmp_path: Path, listening: Listening
) -> None:
    def unknown(_: evt.Event) -> Iterator[Any]:
        yield 1
        yield 0x0122, None

    destinations = {"MAMMO_MONAI": listening.port}
    with ArchiveScp(held=HELD, on_get=unknown, destinations=destinations) as archive:
        assert_are_held(pull(archive.peer, ALL, tmp_path, listening=listening), HELD)


def test_a_peer_that_does_not_know_our_address_says_so(tmp_path: Path, listening: Listening) -> None:
    with ArchiveScp(held=HELD[:1]) as archive:
        (outcome,) = pull(archive.peer, ALL, tmp_path, method="move", listening=listening)
    assert outcome.status == "failed"
    assert "move destination unknown (A801). Have MAMMO_MONAI registered there" in outcome.reason


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with ArchiveScp(held=HELD) as archive, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NetworkError, match=rf"listen on 127.0.0.1:{port}, got Address already"):
            pull(archive.peer, ALL, tmp_path, method="move", listening=Listening("127.0.0.1", port))


def breaking(held: list[Dataset], *, after: int, times: int) -> Any:
    """Aborts after some images; `times` associations long."""
    n_calls = 0

    def get(event: evt.Event) -> Iterator[Any]:
        nonlocal n_calls
        n_calls += 1
        uids = event.identifier.SOPInstanceUID
        wanted = [uids] if isinstance(uids, str) else list(uids)
        found = [each for each in held if each.SOPInstanceUID in wanted]
        yield len(found)
        for number, each in enumerate(found):
            if n_calls <= times and number == after:
                event.assoc.abort()
                return
            yield 0xFF00, each

    return get


def test_an_abort_is_survived_by_asking_again_for_what_is_missing(tmp_path: Path) -> None:
    held = [image(1, number, SeriesInstanceUID="1.2.3.1.1") for number in range(4)]
    with ArchiveScp(held=held, on_get=breaking(held, after=1, times=2)) as archive:
        outcomes = pull(archive.peer, ALL, tmp_path)
    assert statuses(outcomes) == ["received"] * 4
    assert archive.n_associations == 4  # one to list the images


def test_a_peer_that_aborts_every_time_is_given_up_and_asked_again_later(tmp_path: Path) -> None:
    with ArchiveScp(held=HELD, on_get=breaking(HELD, after=0, times=99)) as archive:
        outcomes = pull(archive.peer, ALL, tmp_path)
        assert statuses(outcomes) == ["failed"] * 5
        assert archive.n_associations == 4
    assert "Pull again: what is there is kept" in outcomes[-1].reason
    with ArchiveScp(held=HELD) as archive:
        assert_are_held(pull(archive.peer, ALL, tmp_path), HELD)


def test_a_peer_that_is_gone_in_the_middle_leaves_the_rest_failed(tmp_path: Path) -> None:
    def get(event: evt.Event) -> Iterator[Any]:
        yield 2
        yield 0xFF00, HELD[0]
        archive._server.server_close()
        event.assoc.abort()

    with ArchiveScp(held=HELD[:2], on_get=get) as archive:
        outcomes = pull(archive.peer, ALL, tmp_path, timeout_s=5)
    assert statuses(outcomes) == ["received", "failed"]
    assert "nothing listens there" in outcomes[1].reason


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with ArchiveScp(held=HELD) as archive:
        peer = archive.peer
    with pytest.raises(NetworkError, match="nothing listens there"):
        pull(peer, ALL, tmp_path)


def test_an_archive_that_lists_and_then_lets_nobody_in_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ArchiveScp(held=HELD) as archive:
        from mammo_monai.dicom.network import pulling

        def then_closed(*arguments: Any, **options: Any) -> list[Dataset]:
            found = list(finding(*arguments, **options))
            archive._server.server_close()
            return found

        finding = pulling.find
        monkeypatch.setattr(pulling, "find", then_closed)
        with pytest.raises(NetworkError, match="nothing listens there"):
            pull(archive.peer, ALL, tmp_path)


def test_an_image_the_peer_cannot_send_is_named_with_its_words(tmp_path: Path) -> None:
    def get(_: evt.Event) -> Iterator[Any]:
        yield 1
        status = Dataset()
        status.Status, status.ErrorComment = 0xA702, "tape is off"
        yield status, None

    with ArchiveScp(held=HELD[:1], on_get=get) as archive:
        (outcome,) = pull(archive.peer, ALL, tmp_path)
    assert outcome.status == "failed"
    assert "instances cannot be sent (A702): tape is off." in outcome.reason


def test_an_answer_without_the_image_is_a_failure(tmp_path: Path) -> None:
    def get(_: evt.Event) -> Iterator[Any]:
        yield 0

    with ArchiveScp(held=HELD[:1], on_get=get) as archive:
        (outcome,) = pull(archive.peer, ALL, tmp_path)
    assert "expected the image, the peer answered success (0000)" in outcome.reason


def test_a_full_disk_is_named_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mammo_monai.dicom.network.received.ReceivedInstance.save", full)
    with ArchiveScp(held=HELD[:1]) as archive:
        (outcome,) = pull(archive.peer, ALL, tmp_path)
    assert outcome.status == "failed"
    assert "No space left on device" in outcome.reason
    assert list(tmp_path.iterdir()) == []


def test_an_instance_nobody_asked_for_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def get(_: evt.Event) -> Iterator[Any]:
        yield 1
        yield 0xFF00, HELD[4]

    with ArchiveScp(held=HELD[:1], on_get=get) as archive:
        (outcome,) = pull(archive.peer, ALL, tmp_path)
    assert outcome.status == "failed"
    assert list(tmp_path.iterdir()) == []
    assert "an instance that nobody asked for was refused" in caplog.text


def test_classes_an_archive_does_not_tell_are_the_usual_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ArchiveScp._find

    def silent(self: ArchiveScp, event: evt.Event) -> Iterator[Any]:
        for status, match in original(self, event):
            if match is not None and "SOPClassUID" in match:
                del match.SOPClassUID
            yield status, match

    monkeypatch.setattr(ArchiveScp, "_find", silent)
    with ArchiveScp(held=HELD[:2]) as archive:
        assert statuses(pull(archive.peer, ALL, tmp_path)) == ["received"] * 2


def test_more_classes_than_an_association_holds_take_several(tmp_path: Path) -> None:
    from pynetdicom import AllStoragePresentationContexts

    classes = [each.abstract_syntax for each in AllStoragePresentationContexts][:9]
    held = [image(1, number, SOPClassUID=each) for number, each in enumerate(classes)]
    with ArchiveScp(held=held, classes=classes) as archive:
        assert statuses(pull(archive.peer, ALL, tmp_path)) == ["received"] * 9
        assert archive.n_associations == 3  # one to list the images


def test_a_long_series_is_asked_for_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammo_monai.dicom.network.retrieving._PER_REQUEST", 2)
    held = [image(1, number, SeriesInstanceUID="1.2.3.1.1") for number in range(3)]
    asked: list[Any] = []

    def get(event: evt.Event) -> Iterator[Any]:
        asked.append(event.identifier.SOPInstanceUID)
        yield from breaking(held, after=0, times=0)(event)

    with ArchiveScp(held=held, on_get=get) as archive:
        assert statuses(pull(archive.peer, ALL, tmp_path)) == ["received"] * 3
    assert [1 if isinstance(each, str) else len(each) for each in asked] == [2, 1]


@pytest.mark.parametrize(("uid", "words"), [("", "got none"), ("../../etc/passwd", "got ../../etc/passwd")])
def test_a_match_that_names_no_image_is_refused(uid: str, words: str) -> None:
    match = Dataset()
    match.StudyInstanceUID, match.SeriesInstanceUID = "1.2", "1.3"
    match.add_new("SOPInstanceUID", "LO", uid)
    with pytest.raises(NetworkError, match=f"PEER: expected a SOPInstanceUID of each image, {words}"):
        wanted_of("PEER", match)


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a UID of digits and dots, got '\.\./x'"):
        Arrivals(tmp_path, ["../x"])


def test_an_instance_that_comes_twice_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = Arrivals(tmp_path, ["1.2"])
    written: list[Path] = []

    def save(path: Path) -> None:
        written.append(path)
        path.write_bytes(b"x")

    assert [arrivals.keep("1.2", save) for _ in range(2)] == [StoreStatus.SUCCESS] * 2
    assert len(written) == 1


def test_a_break_after_the_last_image_costs_nothing(tmp_path: Path) -> None:
    def get(event: evt.Event) -> Iterator[Any]:
        yield 2
        yield 0xFF00, HELD[0]
        event.assoc.abort()

    with ArchiveScp(held=HELD[:1], on_get=get) as archive:
        assert statuses(pull(archive.peer, ALL, tmp_path)) == ["received"]
