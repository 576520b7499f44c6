"""What callers say of themselves, and too early: an identity opens no door, haste is cut off and counted."""

from __future__ import annotations

import logging

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.acse import ACSE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

from mammo_monai.dicom.network.callers import Admission, AllowedPeer
from mammo_monai.dicom.network.refusals import Refusal
from tests.dicom.network.raw_caller import (
    ABORTED,
    ACCEPTED,
    RELEASE,
    RawCaller,
    association_request,
    echo_request,
    encoded_request,
)
from tests.dicom.network.test_hostile_callers import Refused, served_s, serving, until


@pytest.fixture
def refused() -> Refused:
    return Refused()


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("calling", ["SENDER", "STRANGER"])
def test_a_user_identity_neither_lets_in_nor_shuts_out_and_is_never_told(
    refused: Refused, kind: int, calling: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Source: DICOM PS3.7 D.3.3.7: who supports none accepts without the positive response asked for."""
    caplog.set_level(logging.DEBUG)
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = kind, True
    identity.primary_field = b"operator-of-the-site"
    if kind == 2:
        identity.secondary_field = b"their-passcode"
    contexts = [(Verification, ImplicitVRLittleEndian)]
    request = encoded_request(calling, "NODE", contexts, more=[identity])
    door = Admission(peers=(AllowedPeer("SENDER"),))
    with serving(refused, admission=door) as server, RawCaller(server.port) as caller:
        caller.send(request)
        answer = caller.read()
        if calling == "SENDER":
            assert answer[0] == ACCEPTED
            assert caller.echo() == 0
            caller.release()
        else:
            assert answer == Refusal.CALLING.answer
    assert b"\x59\0" not in answer  # the sub-item of a positive response
    assert refused == ({} if calling == "SENDER" else {"calling_ae_title": 1})
    assert not any(word in caplog.text for word in ("operator-of", "their-passcode"))


def test_a_damaged_user_identity_ends_that_request_alone(refused: Refused) -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"operator"
    request = encoded_request("SENDER", "NODE", [(Verification, ImplicitVRLittleEndian)], more=[identity])
    at = request.index(b"operator") - 2
    with serving(refused) as server:
        for length in (b"\xff\xff", b"\0\x01"):
            with RawCaller(server.port) as caller:
                caller.send(request[:at] + length + request[at + 2 :])
                caller.read()
        assert served_s(server) < 5


@pytest.mark.parametrize("early", [echo_request(), RELEASE, association_request()])
def test_who_sends_before_it_is_accepted_is_cut_off_and_counted_once(
    refused: Refused, early: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    negotiate = ACSE.negotiate_association

    def late(self: ACSE) -> None:
        until(
            lambda: self.assoc.is_cut, seconds=2
        )  # the answer to the request takes longer than the next PDU
        negotiate(self)

    monkeypatch.setattr(ACSE, "negotiate_association", late)
    with serving(refused) as server, RawCaller(server.port) as caller:
        caller.send(association_request() + early)
        assert caller.read()[:1] == bytes((ABORTED,))
        assert caller.is_ended()
    assert refused == {"order": 1}
