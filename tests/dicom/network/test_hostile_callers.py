"""The storage server against callers that lie, stall and flood: each is cut off, and a good one is served."""

from __future__ import annotations

import gc
import logging
import resource
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from mammo_monai.dicom.network.callers import Admission, AllowedPeer
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.reception import ReceptionLimits
from mammo_monai.dicom.network.refusals import Refusal
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from tests.dicom.network.raw_caller import (
    ABORTED,
    ACCEPTED,
    ECHO_CONTEXT,
    REJECTED,
    STORE_CONTEXT,
    RawCaller,
    association_request,
    echo_request,
    encoded_request,
    store_request,
)
from tests.dicom_factory import grey_ramp, mammogram_dataset

QUICK = ReceptionLimits(association_timeout_s=0.4, network_timeout_s=0.5)
FILM = mammogram_dataset(grey_ramp((40, 70)))
LARGE = mammogram_dataset(grey_ramp((700, 1000)))  # 1.4 MB


class Refused(Counter[str]):
    """Counts refusals by word, and keeps what was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[ReceivedInstance] = []

    def told(self, word: str) -> None:
        self[word] += 1

    def store(self, instance: ReceivedInstance) -> StoreStatus:
        self.kept.append(instance)
        return StoreStatus.SUCCESS


@pytest.fixture
def refused() -> Refused:
    return Refused()


@contextmanager
def serving(refused: Refused, limits: ReceptionLimits = QUICK, **options: Any) -> Iterator[StorageServer]:
    given = {"ae_title": "NODE", "store": refused.store, "refused": refused.told, "limits": limits, **options}
    with StorageServer(**given) as server:
        yield server
        memory = server._door.bounds.memory
        assert until(lambda: len(server._door.connections) == 0), "a connection was left open"
        assert memory.used == 0, "memory was not given back"


def until(claim: Callable[[], object], *, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(claim())


def served_s(server: StorageServer, dataset: Dataset = FILM) -> float:
    """Seconds that a good sender needs from connecting to the end."""
    begin = time.monotonic()
    with RawCaller(server.port) as caller:
        assert caller.associate()[0] == ACCEPTED
        assert caller.store(dataset) == 0
        caller.release()
    return time.monotonic() - begin


def associated(server: StorageServer, **options: Any) -> RawCaller:
    caller = RawCaller(server.port, **options)
    assert caller.associate()[0] == ACCEPTED
    return caller


# Before an association


@pytest.mark.parametrize(
    ("content", "word", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal.NO_DICOM, Refusal.NO_DICOM.answer),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Refusal.WANTS_TLS, b""),
        (b"\x04\0\0\0\0\x04\0\0\0\0", Refusal.NO_DICOM, Refusal.NO_DICOM.answer),
        (b"\x01\0\xff\xff\xff\xff", Refusal.REQUEST, Refusal.REQUEST.answer),
        (b"\x01\0\0\0\0\x04\0\x01\0\0", Refusal.REQUEST, Refusal.REQUEST.answer),
        (association_request()[:80] + b"\xff" * (len(association_request()) - 80), Refusal.REQUEST, None),
        (b"", Refusal.SILENT, b""),
        (b"\x01", Refusal.SILENT, b""),
        (association_request()[:-1], Refusal.SILENT, b""),
    ],
)
def test_what_is_no_request_is_answered_and_closed(
    refused: Refused, content: bytes, word: Refusal, answer: bytes | None
) -> None:
    with serving(refused) as server, RawCaller(server.port) as caller:
        begin = time.monotonic()
        caller.send(content)
        got = caller.read()
        assert caller.is_ended()
        assert time.monotonic() - begin < 2
    assert got == (word.answer if answer is None else answer)
    assert refused == {word.word: 1}


def test_one_byte_now_and_then_gains_no_time(refused: Refused) -> None:
    with serving(refused) as server, RawCaller(server.port) as caller:
        begin = time.monotonic()
        with suppress(OSError):  # it is cut off
            for byte in association_request():
                caller.send(bytes((byte,)))
                time.sleep(0.05)
        assert time.monotonic() - begin < 2
    assert refused == {"silent": 1}


@pytest.mark.parametrize("n_contexts", [0, 129])
def test_a_number_of_contexts_that_cannot_be_is_refused(refused: Refused, n_contexts: int) -> None:
    request = encoded_request("SENDER", "NODE", [("1.2.840.10008.1.1", "1.2.840.10008.1.2")] * n_contexts)
    with serving(refused) as server, RawCaller(server.port) as caller:
        caller.send(request)
        assert caller.read() == Refusal.REQUEST.answer
    assert refused == {"request": 1}


def test_user_information_without_end_is_refused_unread(refused: Refused) -> None:
    request = bytearray(association_request())
    implementation = b"\x52\0\xff\xf0" + b"1" * 0xFFF0
    extra = implementation * 8  # half a megabyte
    request[2:6] = struct.pack(">L", len(request) - 6 + len(extra))
    with serving(refused) as server, RawCaller(server.port) as caller:
        caller.send(bytes(request))
        assert caller.read() == Refusal.REQUEST.answer
    assert refused == {"request": 1}


def test_each_rejection_says_its_own_reason(refused: Refused, caplog: pytest.LogCaptureFixture) -> None:
    peers = (AllowedPeer("SENDER", ("127.0.0.1",)), AllowedPeer("PINNED", (), "pinned.example.org"))
    with serving(refused, admission=Admission("NODE", peers)) as server:
        for title, called, source, refusal in (
            ("STRANGER", "NODE", "127.0.0.1", Refusal.CALLING),
            ("SENDER", "NODE", "127.0.0.2", Refusal.ADDRESS),
            ("PINNED", "NODE", "127.0.0.1", Refusal.CERTIFICATE),
            ("SENDER", "OTHER", "127.0.0.1", Refusal.CALLED),
        ):
            with RawCaller(server.port, source=source) as caller:
                assert caller.associate(title, called=called) == refusal.answer, refusal
        served_s(server)
    assert set(refused) == {"calling_ae_title", "address", "certificate", "called_ae_title"}
    assert (
        "refused 127.0.0.2: it may not call from this address (calling 'SENDER', called 'NODE')"
        in caplog.text
    )


# How many


def test_a_peer_that_has_its_associations_is_rejected_and_another_is_served(refused: Refused) -> None:
    limits = ReceptionLimits(associations=3, associations_per_peer=1)
    with (
        serving(refused, limits) as server,
        associated(server, source="127.0.0.2"),
        RawCaller(server.port, source="127.0.0.2") as second,
    ):
        assert second.associate() == Refusal.PEER_ASSOCIATIONS.answer
        served_s(server)
    assert refused == {"peer_associations": 1}


def test_associations_per_minute_are_bounded_per_peer(refused: Refused) -> None:
    with serving(refused, ReceptionLimits(associations_per_minute=3)) as server:
        answers = []
        for _ in range(5):
            with RawCaller(server.port, source="127.0.0.2") as caller:
                answers.append(caller.associate()[0])
        served_s(server)
    assert answers == [ACCEPTED] * 3 + [REJECTED] * 2
    assert refused == {"rate": 2}


def test_requests_beyond_the_rate_are_read_later_and_none_is_refused(refused: Refused) -> None:
    limits = ReceptionLimits(requests_per_minute=300)
    with serving(refused, limits) as server, associated(server) as caller:
        server._door.bounds.peers._of("127.0.0.1")[1]._left = 2  # of the first minute's worth
        begin = time.monotonic()
        assert [caller.echo() for _ in range(5)] == [0] * 5
        took_s = time.monotonic() - begin
        caller.release()
    assert 0.3 < took_s < 2  # the third to the fifth are 0.2 s apart
    assert not refused


def test_slow_callers_of_every_kind_are_cut_off_and_a_good_one_is_served_beside_them(
    refused: Refused,
) -> None:
    limits = ReceptionLimits(association_timeout_s=1)
    before = threading.active_count()  # tests before this one leave some
    with serving(refused, limits) as server, ExitStack() as stack:
        alone_s = min(served_s(server) for _ in range(3))
        slow = [stack.enter_context(RawCaller(server.port, source="127.0.0.2")) for _ in range(60)]
        for caller in slow[:20]:
            caller.send(association_request()[:9])
        beside_s = min(served_s(server) for _ in range(3))
        assert beside_s < 5 * alone_s + 0.2
        assert threading.active_count() - before < 55  # forty wait at most
        assert all(caller.is_ended() for caller in slow)
    assert refused["connections"] >= 5  # 20, where all come before the first is given up
    assert refused["connections"] + refused["silent"] == 60


def test_a_flood_of_one_address_does_not_shut_out_another(refused: Refused) -> None:
    limits = ReceptionLimits(associations=1, association_timeout_s=2)
    with serving(refused, limits) as server, ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(RawCaller(server.port, source="127.0.0.2"))
        with RawCaller(server.port) as slow_but_good:
            for _ in range(30):
                stack.enter_context(RawCaller(server.port, source="127.0.0.2"))
            assert slow_but_good.associate()[0] == ACCEPTED
            slow_but_good.release()
        assert until(lambda: refused["connections"] >= 50)
        stack.close()


# Within an association


@pytest.mark.parametrize(
    ("content", "word", "answer"),
    [
        (b"\x04\0\xff\xff\xff\xff" + bytes(1000), Refusal.PDU_LENGTH, Refusal.PDU_LENGTH.answer),
        (b"\x06\0\x10\0\0\0", Refusal.PDU_LENGTH, Refusal.PDU_LENGTH.answer),
        (echo_request()[:-1], Refusal.PDU_TIME, Refusal.PDU_TIME.answer),
        (b"\x04\0\0", Refusal.PDU_TIME, Refusal.PDU_TIME.answer),
        (b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x03", Refusal.MESSAGE, Refusal.MESSAGE.answer),  # no command
        (b"\x04\0\0\0\0\x05\0\0\0\x01\x01", Refusal.MESSAGE, Refusal.MESSAGE.answer),  # no header
        (b"\x04\0\0\0\0\x06\xff\xff\xff\xff\x01\x03", Refusal.MESSAGE, Refusal.MESSAGE.answer),  # 4 GB
        (b"\xff\0\0\0\0\x04\0\0\0\0", Refusal.PDU_TYPE, Refusal.PDU_TYPE.answer),
        (association_request(), Refusal.ORDER, None),
        (b"", Refusal.IDLE, None),
    ],
)
def test_what_is_no_message_ends_the_association(
    refused: Refused,
    content: bytes,
    word: Refusal | None,
    answer: bytes | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(refused) as server, associated(server) as caller:
        begin = time.monotonic()
        caller.send(content)
        got = caller.read()
        assert caller.is_ended()
        assert time.monotonic() - begin < 2.5
        served_s(server)
    assert got[:1] in (b"", bytes((ABORTED,)))
    assert answer is None or got == answer
    assert refused == ({} if word is None else {word.word: 1})
    assert "Traceback" not in capfd.readouterr().err


def test_an_instance_too_large_is_cut_off_while_it_comes(refused: Refused) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    command, *rest = store_request(LARGE, pdu_bytes=1 << 16)
    with serving(refused, ReceptionLimits(instance_mb=8)) as server, associated(server) as caller:
        caller.send(command)
        with suppress(OSError):
            for _ in range(3000):  # 197 MB, whose last fragment never comes
                caller.send(rest[0])
        assert until(lambda: refused == {"instance_size": 1})
        served_s(server)
    assert len(refused.kept) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 60_000


def test_an_instance_of_just_the_size_is_taken(refused: Refused) -> None:
    n_bytes = sum(map(len, store_request(LARGE, pdu_bytes=1 << 16)))
    with serving(refused, ReceptionLimits(instance_mb=n_bytes / 1e6)) as server:
        served_s(server, LARGE)
    limits = ReceptionLimits(instance_mb=(n_bytes - 2000) / 1e6)
    with serving(refused, limits) as server, associated(server) as caller:
        with suppress(OSError):
            assert caller.store(LARGE) is None
        assert until(lambda: refused == {"instance_size": 1})
    assert len(refused.kept) == 1


def test_all_that_is_under_way_together_is_bounded(refused: Refused) -> None:
    pieces = b"".join(store_request(LARGE)[:-1])  # 1.4 MB that wait for their end
    limits = ReceptionLimits(instance_mb=2, receiving_mb=2)
    with (
        serving(refused, limits) as server,
        associated(server, source="127.0.0.2") as first,
        associated(server) as second,
    ):
        first.send(pieces)
        assert until(lambda: server._door.bounds.memory.used > 1_300_000)
        with suppress(OSError):
            second.send(pieces)
        assert second.is_ended()
        assert refused == {"memory": 1}
        first.send(store_request(LARGE)[-1])
        assert first.status() == 0
        first.release()


def test_requests_that_nobody_waited_for_do_not_pile_up(refused: Refused) -> None:
    """A sender that does not wait for answers: one message waits in memory while another is stored."""
    going_on = threading.Event()
    n_calls = 0

    def store(instance: ReceivedInstance) -> StoreStatus:
        nonlocal n_calls
        n_calls += 1
        going_on.wait(5)
        return StoreStatus.SUCCESS

    message = b"".join(store_request(LARGE))
    with serving(refused, ReceptionLimits(), store=store) as server, associated(server) as caller:
        flood = threading.Thread(target=lambda: [caller.send(message) for _ in range(12)])
        flood.start()
        time.sleep(0.5)
        assert server._door.bounds.memory.used < 2.5 * len(message)
        going_on.set()
        assert [caller.status() for _ in range(12)] == [0] * 12
        flood.join()
        caller.release()
    assert n_calls == 12


def test_a_message_that_comes_too_slowly_is_cut_off(refused: Refused) -> None:
    pieces = store_request(LARGE, pdu_bytes=300)
    limits = ReceptionLimits(network_timeout_s=0.6, bytes_per_s=20_000)
    with serving(refused, limits) as server, associated(server) as caller:
        begin = time.monotonic()
        with suppress(OSError):
            for piece in pieces[:40]:
                caller.send(piece)
                time.sleep(0.05)
        assert 0.6 < time.monotonic() - begin < 1.5
    assert refused == {"slow": 1}


def test_who_reads_no_answer_is_cut_off(refused: Refused) -> None:
    limits = ReceptionLimits(network_timeout_s=0.5, requests_per_minute=1e9)
    with serving(refused, limits) as server, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(association_request())
        raw.settimeout(3)
        # Its acceptance is read: messages sent before that break the protocol, and end it for that.
        assert read_pdu(raw)[0] == ACCEPTED
        (connection,) = server._door.connections._open
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        with suppress(OSError):
            raw.sendall(echo_request() * 3000)
        assert until(lambda: len(server._door.connections) == 0)
    assert refused == {"deaf": 1}


def read_pdu(raw: socket.socket) -> bytes:
    """A whole PDU: type, a byte, length of the rest (PS3.8 9.3.1)."""
    received = b""
    while len(received) < 6 or len(received) < 6 + int.from_bytes(received[2:6], "big"):
        piece = raw.recv(6 - len(received) if len(received) < 6 else 1 << 12)
        assert piece, "closed"
        received += piece
    return received


def test_commands_without_end_are_cut_off(refused: Refused) -> None:
    fragment = struct.pack(">BBLLBB", 4, 0, 6 + 16000, 2 + 16000, ECHO_CONTEXT, 1) + bytes(16000)
    with serving(refused) as server, associated(server) as caller:
        with suppress(OSError):
            caller.send(fragment * 100)
        assert until(lambda: refused == {"message": 1})


def test_a_data_set_without_a_command_is_refused(refused: Refused) -> None:
    fragment = struct.pack(">BBLLBB", 4, 0, 6 + 16, 2 + 16, STORE_CONTEXT, 2) + bytes(16)
    with serving(refused) as server, associated(server) as caller:
        caller.send(fragment)
        assert caller.read() == Refusal.MESSAGE.answer
    assert refused == {"message": 1}


def test_hundreds_of_broken_connections_leave_no_thread_and_no_file(refused: Refused) -> None:
    def open_files() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    with serving(refused) as server:
        served_s(server)
        assert until(lambda: len(server._door.connections) == 0)
        before = threading.active_count(), open_files()
        for number in range(60):
            with RawCaller(server.port) as caller:
                if number % 3:
                    caller.send(association_request()[: 7 * (number % 5)])
                else:
                    caller.associate()
                    caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert until(lambda: (threading.active_count(), open_files()) <= before), before


def test_a_refusal_says_nothing_that_a_message_said(
    refused: Refused, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="mammo_monai")
    fragment = b"SECRET^NAME" * 20
    content = struct.pack(">BBLLBB", 4, 0, 6 + 220, 2 + 220, ECHO_CONTEXT, 3) + fragment
    with serving(refused) as server, associated(server) as caller:
        caller.send(content)
        assert caller.is_ended()
    assert "SECRET" not in caplog.text
