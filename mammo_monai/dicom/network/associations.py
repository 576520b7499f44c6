"""An association with a peer, or one sentence that says why there is none and what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.peers import Peer, check_ae_title
from mammo_monai.dicom.network.reachability import why_unreachable

CALLING_AE_TITLE = "MAMMO_MONAI"
TIMEOUT_S = 30.0
_MAX_PDU_BYTES = 1 << 17
_SYNTAX_NOT_SUPPORTED = 4  # result of a presentation context: PS3.8 table 9-18

# (source, reason) of A-ASSOCIATE-RJ, with the remedy: PS3.8 table 9-21.
_REJECTIONS: dict[tuple[int, int], str] = {
    (1, 1): "no reason given. Ask the administrator of the peer to allow {calling}",
    (1, 2): "application context not supported. Is it a DICOM node?",
    (1, 3): "it does not know the calling AE title {calling}. Have it registered there, or call by another",
    (1, 7): "{called} is not its AE title. Ask its administrator for the right one",
    (2, 1): "no reason given. Ask its administrator; it may want a user name or another AE title",
    (2, 2): "protocol version not supported. Is it a DICOM node?",
    (3, 1): "it is congested. Try again later",
    (3, 2): "it has too many associations open. Try again later",
}


class NoContextAcceptedError(NetworkError):
    """The peer talks to us, but takes none of what was proposed.

    Attributes:
        classes_taken: of the SOP classes proposed, those it takes in other transfer syntaxes.
    """

    def __init__(self, message: str, classes_taken: frozenset[UID] = frozenset()) -> None:
        super().__init__(message)
        self.classes_taken = classes_taken


@dataclass(frozen=True)
class Calling:
    """How a peer is called.

    Attributes:
        ae_title: our own.
        timeout_s: for connecting, for each answer, and for silence in between.

    Raises:
        NetworkError: a title that is none, or no time.
    """

    ae_title: str = CALLING_AE_TITLE
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        if not self.timeout_s > 0:
            raise NetworkError(f"expected a time-out above 0 s, got {self.timeout_s}.")


@contextmanager
def associated(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    calling: Calling,
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
) -> Iterator[Association]:
    """An association that is released when the block ends, aborted when it raises.

    Raises:
        NoContextAcceptedError: the peer accepts none of `contexts`.
        NetworkError: there is no association; says why and what to do.
    """
    entity = AE(calling.ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = calling.timeout_s
    entity.network_timeout = calling.timeout_s
    context = peer.tls.client_context() if peer.tls is not None else None
    association = _request(entity, peer, contexts, context, roles, handlers)
    if not association.is_established:
        raise _refusal(peer, association, calling, context)
    # A request is two small packets; without this the second waits 40 ms for the answer to the first.
    with suppress(AttributeError, OSError):  # the peer has hung up already: the first request will say so
        association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield association
        if not is_broken(association):
            association.release()
    finally:
        if not is_broken(association):
            association.abort()


def classes_taken(association: Association) -> frozenset[UID]:
    """SOP classes that the peer takes, if in other transfer syntaxes than proposed."""
    contexts = [*association.accepted_contexts]
    contexts += [each for each in association.rejected_contexts if each.result == _SYNTAX_NOT_SUPPORTED]
    return frozenset(UID(each.abstract_syntax) for each in contexts)


def serve_requests(association: Association) -> None:
    """Lets a peer's own requests in, such as reports on commitment; no request of ours may be open then."""
    association.dimse.__dict__.pop("get_msg", None)


def _keep_answers(event: evt.Event) -> None:
    """Leaves answers to who waits for them.

    pynetdicom's own thread looks for requests of the peer in the same queue. It is told to pause while we
    wait for an answer, but when the machine is busy it may hear of that too late, take the answer for a
    request and lose it: the one waiting then hears nothing until the time-out. Measured on loopback with two
    busy threads beside: 8 answers to 1500 C-STOREs lost before, none since.
    """
    dimse = event.assoc.dimse
    original = dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        return original(block) if block else (None, None)

    dimse.get_msg = get_msg


def is_broken(association: Association) -> bool:
    """Whether an association has ended; `is_established` hears of the peer's abort only some time later."""
    return not association.is_established or association.acse.is_aborted()


def _request(
    entity: AE,
    peer: Peer,
    contexts: Sequence[PresentationContext],
    context: ssl.SSLContext | None,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    handlers: Sequence[tuple[Any, Callable[..., Any]]],
) -> Association:
    try:
        return entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=_MAX_PDU_BYTES,
            ext_neg=list(roles),
            tls_args=(context, peer.host) if context is not None else None,
            evt_handlers=[*handlers, (evt.EVT_ESTABLISHED, _keep_answers)],
        )
    except OSError as error:  # the host's name cannot be resolved
        raise NetworkError(f"{peer}: {why_unreachable(peer, context, timeout_s=5.0)}") from error


def _refusal(
    peer: Peer, association: Association, calling: Calling, context: ssl.SSLContext | None
) -> NetworkError:
    answer = _rejection(association)
    if answer is not None:
        key = (int(answer.result_source), int(answer.diagnostic))
        reason = _REJECTIONS.get(key, f"source {key[0]}, reason {key[1]}. Ask its administrator")
        words = reason.format(calling=calling.ae_title, called=peer.ae_title)
        return NetworkError(f"{peer}: expected an association, it was rejected: {words}.")
    if association.rejected_contexts:
        names = sorted({each.abstract_syntax.name for each in association.rejected_contexts})
        return NoContextAcceptedError(
            f"{peer}: expected it to accept {', '.join(names)}, it accepts none of what was proposed. "
            "Ask its administrator whether that service is on for us.",
            classes_taken(association),
        )
    return NetworkError(f"{peer}: {why_unreachable(peer, context, timeout_s=min(calling.timeout_s, 5.0))}")


def _rejection(association: Association) -> A_ASSOCIATE | None:
    """The peer's rejection, also one that came before pynetdicom looked whether it was connected at all."""
    if association.is_rejected:
        return association.acceptor.primitive
    unread = association.dul.receive_pdu(wait=False)
    return unread if isinstance(unread, A_ASSOCIATE) and unread.result else None
