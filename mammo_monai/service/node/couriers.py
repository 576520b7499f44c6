"""How results get to a destination: DIMSE or DICOMweb, one answer for each result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from mammo_monai.dicom.network import Peer, SendOutcome, send
from mammo_monai.dicom.network.statuses import status_words
from mammo_monai.service.node.settings import Destination


@dataclass(frozen=True)
class Answer:
    """What a destination said of one result.

    Attributes:
        is_refusal: it answered, and would answer the same again.
        reason: in words without what the destination wrote, which may quote the patient.
    """

    is_sent: bool
    is_refusal: bool = False
    reason: str = ""


class Courier(Protocol):
    """Sends files; one answer for each, in their order.

    Raises:
        NetworkError: there was no way to the destination at all.
    """

    def __call__(self, paths: Sequence[Path]) -> list[Answer]:
        """Sends them."""
        ...


def courier_to(destination: Destination, *, ae_title: str, timeout_s: float = 30.0) -> Courier:
    """The courier to a destination; connects only when it is called."""
    if destination.dicomweb is not None:
        from mammo_monai.dicom.network.dicomweb import DicomWeb  # noqa: PLC0415  # an HTTP client

        service = DicomWeb(destination.dicomweb, tls=destination.tls, timeout_s=timeout_s, attempts=1)
        return lambda paths: [_answer(each, _web_words) for each in service.store(paths)]
    peer = Peer.parse(str(destination.peer), destination.tls)
    return lambda paths: [
        _answer(each) for each in send(peer, paths, calling_ae_title=ae_title, timeout_s=timeout_s)
    ]


def _answer(outcome: SendOutcome, words: Callable[[int], str] = status_words) -> Answer:
    if outcome.status == "sent":
        return Answer(is_sent=True)
    if outcome.code is not None:
        reason = f"answered {words(outcome.code)}"
    elif outcome.status == "refused":
        reason = "does not take this SOP class or transfer syntax"
    else:
        reason = "gave no answer" if outcome.is_retryable else "could not be sent: its file cannot be read"
    return Answer(is_sent=False, is_refusal=not outcome.is_retryable, reason=reason)


def _web_words(code: int) -> str:
    """A status of HTTP, or the Failure Reason that a STOW-RS answer gives (PS3.18 I.2.2)."""
    return f"HTTP {code}" if code in set(HTTPStatus) else status_words(code)
