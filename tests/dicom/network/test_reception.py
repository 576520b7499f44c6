"""Limits as arithmetic: tokens that grow back, bytes given back, refusals counted and said."""

from __future__ import annotations

import logging
import socket

import pytest

from mammo_monai.dicom.network import reception, refusals
from mammo_monai.dicom.network.connections import Connections
from mammo_monai.dicom.network.reception import Allowance, Memory, Peers, ReceptionLimits
from mammo_monai.dicom.network.refusals import Refusal, Refusals


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_may_be_used_at_once_and_grows_back() -> None:
    clock = Clock()
    allowance = Allowance(60, clock=clock)
    assert [allowance.take() for _ in range(61)] == [True] * 60 + [False]
    clock.now += 2
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    clock.now += 3600
    assert sum(allowance.take() for _ in range(100)) == 60


def test_a_debt_is_the_time_until_it_has_grown_back() -> None:
    clock = Clock()
    allowance = Allowance(120, clock=clock)
    assert sum(allowance.debt_s() for _ in range(120)) == 0
    assert allowance.debt_s() == pytest.approx(0.5)
    clock.now += 0.5
    assert allowance.debt_s() == pytest.approx(0.5)


def test_each_address_has_its_own_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "_MOST_PEERS", 3)
    peers = Peers(ReceptionLimits(associations_per_minute=1, requests_per_minute=1))
    assert peers.may_associate("a")
    assert not peers.may_associate("a")
    assert peers.may_associate("b")
    assert peers.pause_s("a") == 0
    assert peers.pause_s("a") > 50
    for each in "bcd":
        peers.may_associate(each)
    assert len(peers._known) == 3
    assert peers.may_associate("a")


def test_memory_is_taken_whole_or_not_at_all() -> None:
    memory = Memory(ReceptionLimits(receiving_mb=1))
    assert memory.take(900_000)
    assert not memory.take(100_001)
    assert memory.take(100_000)
    memory.give_back(900_000)
    assert memory.used == 100_000


@pytest.mark.parametrize("name", vars(ReceptionLimits()))
def test_a_limit_that_lets_nothing_through_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        ReceptionLimits(**{name: 0})


def test_a_refusal_is_said_once_a_minute_and_counted_each_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, told = Clock(), []
    monkeypatch.setattr(refusals.time, "monotonic", clock)
    refused = Refusals(told.append)
    for _ in range(3):
        refused(Refusal.CALLING, "10.1.2.3", "calling 'X'")
    refused(Refusal.CALLING, "10.1.2.4")
    refused(Refusal.SILENT, "10.1.2.3")
    clock.now += 61
    refused(Refusal.CALLING, "10.1.2.3")
    assert told == ["calling_ae_title"] * 4 + ["silent", "calling_ae_title"]
    assert [record.getMessage() for record in caplog.records] == [
        "refused 10.1.2.3: its calling AE title is not allowed here (calling 'X')",
        "refused 10.1.2.4: its calling AE title is not allowed here",
        "refused 10.1.2.3: it did not ask for an association in time (receiving.association_timeout_s)",
        "refused 10.1.2.3: its calling AE title is not allowed here; 2 more since the last line",
    ]


def test_callers_from_everywhere_do_not_fill_the_memory_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_MOST_REMEMBERED", 10)
    refused = Refusals()
    with caplog.at_level(logging.CRITICAL):
        for number in range(100):
            refused(Refusal.SILENT, f"10.1.2.{number}")
    assert len(refused._said) == 10


def test_each_refusal_has_a_word_of_its_own_and_one_answer_at_most() -> None:
    words = [each.word for each in Refusal]
    assert len(set(words)) == len(words)
    for each in Refusal:
        assert each.rejection is None or each.abort is None
        assert len(each.answer) in (0, 10)


def test_the_oldest_of_the_address_that_holds_most_makes_room() -> None:
    connections = Connections(ReceptionLimits(associations=1))  # eight may wait
    pairs = [socket.socketpair() for _ in range(10)]
    entered = [connections.enter(pairs[0][0], "good")[0]]
    entered += [connections.enter(near, "bad")[0] for near, _ in pairs[1:8]]
    new, evicted = connections.enter(pairs[8][0], "good")
    assert evicted is entered[1]
    assert pairs[1][1].recv(1) == b""  # it is closed
    assert connections.associate(entered[1]) is Refusal.CONNECTIONS
    assert connections.associate(new) is None
    assert connections.associate(entered[0]) is Refusal.ASSOCIATIONS
    connections.leave(new)
    connections.leave(new)
    assert connections.associate(entered[0]) is None
    assert len(connections) == 8
    connections.shut_waiting()
    assert pairs[2][1].recv(1) == b""
    for pair in pairs:
        for each in pair:
            each.close()


def test_one_peer_does_not_get_all_associations() -> None:
    connections = Connections(ReceptionLimits(associations=4, associations_per_peer=2))
    near, far = socket.socketpair()
    entered = [connections.enter(near, address)[0] for address in ("a", "a", "a", "b")]
    found = [connections.associate(each) for each in entered]
    assert found == [None, None, Refusal.PEER_ASSOCIATIONS, None]
    near.close()
    far.close()
