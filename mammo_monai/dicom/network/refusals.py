"""Why a caller is refused: a word for the metrics, a line for the operator, the right answer for the peer."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

logger = logging.getLogger(__name__)
_MOST_REMEMBERED = 1000
_TOLD_EVERY_S = 60.0

# (result, source, reason) of A-ASSOCIATE-RJ: DICOM PS3.8 table 9-21.
_CALLING_UNKNOWN = (1, 1, 3)
_CALLED_UNKNOWN = (1, 1, 7)
_CONGESTED = (2, 3, 1)
_LOCAL_LIMIT = (2, 3, 2)
# Reason of an A-ABORT by the service provider: PS3.8 table 9-26.
_NOT_SPECIFIED, _UNRECOGNISED_PDU, _INVALID_PARAMETER = 0, 1, 6


class Refusal(Enum):
    """A reason, what the operator reads, and what the peer gets.

    Attributes:
        word: for metrics. words: for the log, after the caller's address.
        rejection: result, source and reason of the A-ASSOCIATE-RJ; None where none can be sent.
        abort: reason of the A-ABORT that is sent instead; None where nothing is.
    """

    CONNECTIONS = (
        "connections",
        "too many connections are open, and it had not asked for an association yet",
    )
    SILENT = ("silent", "it did not ask for an association in time (receiving.association_timeout_s)")
    HANDSHAKE = ("tls", "its TLS handshake failed")
    WANTS_TLS = ("tls_unexpected", "it speaks TLS, and receiving.tls is not set")
    NO_DICOM = ("not_dicom", "what it sent is no request for an association", None, _UNRECOGNISED_PDU)
    REQUEST = ("request", "its request for an association is damaged or too large", None, _INVALID_PARAMETER)
    CALLING = ("calling_ae_title", "its calling AE title is not allowed here", _CALLING_UNKNOWN)
    CALLED = ("called_ae_title", "it calls another AE title than ours", _CALLED_UNKNOWN)
    ADDRESS = ("address", "it may not call from this address", _CALLING_UNKNOWN)
    CERTIFICATE = ("certificate", "its certificate is not that of its AE title", _CALLING_UNKNOWN)
    ASSOCIATIONS = ("associations", "max_associations are open", _LOCAL_LIMIT)
    PEER_ASSOCIATIONS = ("peer_associations", "max_associations_per_peer of its are open", _LOCAL_LIMIT)
    RATE = ("rate", "it asks for more than associations_per_minute", _CONGESTED)
    PDU_TYPE = ("pdu_type", "it sent a PDU of a type that there is not", None, _UNRECOGNISED_PDU)
    ORDER = ("order", "it sent what has no place at that moment, such as a message before it was accepted")
    PDU_LENGTH = ("pdu_length", "it announced a PDU longer than agreed", None, _INVALID_PARAMETER)
    PDU_TIME = ("pdu_time", "it began a PDU and did not end it in time", None, _NOT_SPECIFIED)
    IDLE = ("idle", "it said nothing for receiving.network_timeout_s")
    DEAF = ("deaf", "it does not read our answers", None, _NOT_SPECIFIED)
    SLOW = ("slow", "its message comes too slowly", None, _NOT_SPECIFIED)
    INSTANCE = ("instance_size", "its message is larger than limits.max_instance_mb", None, _NOT_SPECIFIED)
    MEMORY = ("memory", "limits.max_receiving_mb are being received at once", None, _NOT_SPECIFIED)
    MESSAGE = ("message", "its message is damaged", None, _INVALID_PARAMETER)

    def __init__(
        self,
        word: str,
        words: str,
        rejection: tuple[int, int, int] | None = None,
        abort: int | None = None,
    ) -> None:
        self.word, self.words, self.rejection, self.abort = word, words, rejection, abort

    @property
    def answer(self) -> bytes:
        """The PDU for the peer: A-ASSOCIATE-RJ, A-ABORT, or nothing.

        Source: DICOM PS3.8 9.3.4 and 9.3.8.

        >>> Refusal.CALLING.answer.hex(" "), Refusal.PDU_LENGTH.answer.hex(" "), Refusal.SILENT.answer
        ('03 00 00 00 00 04 00 01 01 03', '07 00 00 00 00 04 00 00 02 06', b'')
        """
        if self.rejection is not None:
            return bytes((3, 0, 0, 0, 0, 4, 0, *self.rejection))
        return b"" if self.abort is None else bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, self.abort))


class RefusedError(Exception):
    """A caller is refused; `detail` says what it said, for the log."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(refusal.words)
        self.refusal, self.detail = refusal, detail


class Refusals:
    """Counts every refusal; logs the first of a kind and address, then one line a minute with how many more.

    Args:
        told: gets the word of each.
    """

    def __init__(self, told: Callable[[str], None] = lambda _: None) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._said: OrderedDict[tuple[Refusal, str], tuple[float, int]] = OrderedDict()

    def __call__(self, refusal: Refusal, address: str, detail: str = "") -> None:
        """One more refusal of a caller at an address."""
        self._told(refusal.word)
        with self._lock:
            said_at, n_unsaid = self._said.get((refusal, address), (-_TOLD_EVERY_S, 0))
            is_due = time.monotonic() - said_at >= _TOLD_EVERY_S
            kept = (time.monotonic(), 0) if is_due else (said_at, n_unsaid + 1)
            self._said[refusal, address] = kept
            self._said.move_to_end((refusal, address))
            while len(self._said) > _MOST_REMEMBERED:
                self._said.popitem(last=False)
        if is_due:
            more = f"; {n_unsaid} more since the last line" if n_unsaid else ""
            logger.warning("refused %s: %s%s%s", address, refusal.words, detail and f" ({detail})", more)
