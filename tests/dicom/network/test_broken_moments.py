"""What only a connection that breaks at a certain moment reaches: shown without waiting for one."""

from __future__ import annotations

import ssl
import threading
import time
from copy import deepcopy
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider

from mammo_monai.dicom.network import association_server, greeting, guarded_association
from mammo_monai.dicom.network.refusals import Refusal, RefusedError


def broken(*_: object, **__: object) -> None:
    raise OSError("gone")


def bug(*_: object, **__: object) -> None:
    raise KeyError("a bug")


def server(**attributes: Any) -> Any:
    """What the methods under test ask of their server; `dropped` gathers connections."""
    dropped: list[object] = []
    return SimpleNamespace(tls=None, dropped=dropped, _dropped=dropped.append, _greet=bug, **attributes)


def test_shared_contexts_are_not_copied_one_by_one() -> None:
    shared: Any = association_server.SharedContexts([SimpleNamespace()])
    assert deepcopy(shared)[0] is shared[0]


def test_a_connection_that_went_away_at_once_is_closed() -> None:
    request = MagicMock()
    door = SimpleNamespace(connections=SimpleNamespace(enter=broken))
    association_server.AssociationServer.process_request(server(door=door), request, ("127.0.0.1", 1))
    request.close.assert_called_once()


def test_without_a_thread_to_spare_the_connection_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    door = SimpleNamespace(connections=SimpleNamespace(enter=lambda *_: ("entered", None)))
    asked = server(door=door)
    association_server.AssociationServer.process_request(asked, MagicMock(), ("127.0.0.1", 1))
    assert asked.dropped == ["entered"]


def test_whatever_goes_wrong_at_the_door_costs_that_connection_alone() -> None:
    asked = server(door=SimpleNamespace(let_in=bug))
    connection: Any = SimpleNamespace(address="127.0.0.1")
    association_server.AssociationServer._greet(asked, connection, ("127.0.0.1", 1))
    assert asked.dropped == [connection]


def test_when_the_time_is_over_nothing_more_is_read() -> None:
    with pytest.raises(TimeoutError, match="the time is over"):
        greeting.read_bytes(MagicMock(), 4, time.monotonic() - 1)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [(ssl.SSLError("bad record"), Refusal.HANDSHAKE), (OSError("gone"), Refusal.NO_DICOM)],
)
def test_a_request_that_breaks_is_refused_for_what_broke(error: OSError, refusal: Refusal) -> None:
    connection = MagicMock()
    connection.recv_into.side_effect = error
    with pytest.raises(RefusedError) as refused:
        greeting._request(connection, time.monotonic() + 5)
    assert refused.value.refusal is refusal


def test_a_handshake_that_breaks_is_refused() -> None:
    connection = MagicMock(spec=ssl.SSLSocket)
    connection.do_handshake.side_effect = OSError("gone")
    with pytest.raises(RefusedError) as refused:
        greeting._shaken(connection, 1.0)
    assert (refused.value.refusal, refused.value.detail) == (Refusal.HANDSHAKE, "the connection was closed")


def test_a_bug_in_an_association_ends_it_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Association, "run_reactor", bug)
    association: Any = guarded_association.GuardedAssociation.__new__(guarded_association.GuardedAssociation)
    association.dul, association.dimse, association._ended = MagicMock(), MagicMock(), MagicMock()
    association.run_reactor()
    association.dul.socket.release.assert_called_once()
    association._ended.assert_called_once()
    assert "an association ended: KeyError" in caplog.text


def test_a_bug_in_the_thread_that_reads_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DULServiceProvider, "run_reactor", bug)
    guarded_association._Provider.__new__(guarded_association._Provider).run_reactor()


def test_what_tls_has_decrypted_already_is_ready() -> None:
    guard: Any = guarded_association.GuardedSocket.__new__(guarded_association.GuardedSocket)
    guard._unread, guard.read_again_at = b"", 0.0
    guard.socket = MagicMock(spec=ssl.SSLSocket)
    guard.socket.pending.return_value = 7
    guard._assoc = SimpleNamespace(dimse=SimpleNamespace(is_full=False))
    assert guard.ready
