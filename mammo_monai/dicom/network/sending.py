"""C-STORE as SCU: each instance in its own transfer syntax, each with an outcome of its own.

An instance is offered in a presentation context that holds its own transfer syntax and nothing else, so that
a peer cannot pick another; files go out byte for byte. What is sent twice is the same instance with the same
UID, so a sending that broke off is repeated as it is.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association

from mammo_monai.dicom.network.associations import (
    CALLING_AE_TITLE,
    TIMEOUT_S,
    Calling,
    NoContextAcceptedError,
    associated,
    classes_taken,
    is_broken,
)
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.greeting import MAX_CONTEXTS
from mammo_monai.dicom.network.outgoing import PLAIN, Outgoing
from mammo_monai.dicom.network.peers import Peer
from mammo_monai.dicom.network.statuses import (
    DUPLICATE_INSTANCE,
    is_success,
    is_temporary,
    status_words,
)
from mammo_monai.dicom.network.steps import Progress, Steps
from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.unquoted import without_values
from mammo_monai.errors import DicomError

logger = logging.getLogger(__name__)

SendStatus = Literal["sent", "refused", "failed"]
_PER_ASSOCIATION = 500  # headers are read this far ahead
_MAX_BREAKS = 3  # in a row, without one answer between them
_config.STORE_SEND_CHUNKED_DATASET = True  # a path is sent byte for byte as it stands in its file

_Context = tuple[UID, tuple[UID, ...]]


@dataclass(frozen=True)
class SendOutcome:
    """What became of one instance.

    Attributes:
        sop_instance_uid: "" where the file does not say.
        status: sent: the peer has it; refused: the peer answered that it does not take it; failed: nobody
            knows that the peer has it, or the file cannot be read.
        code: the DIMSE or HTTP status; None where no answer came.
        reason: why not, and what to do; where it was sent, the peer's warning or "".
        path: the file, None for a data set.
        is_retryable: whether the same instance may be taken later: the peer was busy or the line broke.
    """

    sop_instance_uid: str
    status: SendStatus
    code: int | None = None
    reason: str = ""
    path: Path | None = None
    is_retryable: bool = False
    sop_class_uid: str = ""


def send(
    peer: Peer,
    items: Sequence[Path | str | Dataset],
    *,
    calling_ae_title: str = CALLING_AE_TITLE,
    timeout_s: float = TIMEOUT_S,
    decompress: bool = False,
    progress: Progress | None = None,
) -> list[SendOutcome]:
    """Sends files and data sets; one outcome for each, in their order.

    When an association breaks, the instance under way has failed and the others go through a new one.

    Args:
        items: paths of DICOM files, or data sets with `file_meta.TransferSyntaxUID`.
        timeout_s: for connecting and for each answer.
        decompress: send as Explicit or Implicit VR Little Endian what the peer does not take as it is.
        progress: called after each instance.

    Raises:
        NetworkError: there was no association at all, so that nothing was sent.
    """
    sender = _Sender(peer, Calling(calling_ae_title, timeout_s), decompress)
    steps = Steps("sent", len(items), progress)
    outcomes: list[SendOutcome] = []
    for start in range(0, len(items), _PER_ASSOCIATION):
        for outcome in sender.send(items[start : start + _PER_ASSOCIATION]):
            outcomes.append(outcome)
            logger.debug("an instance was %s", outcome.status)
            steps.step()
    return outcomes


class _Sender:
    """One sending; counts the associations that broke without having carried anything."""

    def __init__(self, peer: Peer, calling: Calling, decompress: bool) -> None:
        self._peer, self._calling, self._decompress = peer, calling, decompress
        self._n_breaks = 0
        self._was_associated = False

    def send(self, items: Sequence[Path | str | Dataset]) -> Iterator[SendOutcome]:
        """Outcomes in the order of the items."""
        ready = [readable(item) for item in items]
        for batch in _batches(ready, self._decompress):
            yield from self._send_batch(batch)

    def _send_batch(self, batch: list[Outgoing | SendOutcome]) -> Iterator[SendOutcome]:
        """What the contexts of one association are enough for."""
        rest = deque(batch)
        while rest:
            if not any(isinstance(each, Outgoing) for each in rest):
                yield from (each for each in rest if isinstance(each, SendOutcome))
                return
            try:
                yield from self._through_one_association(rest)
            except NoContextAcceptedError as error:
                yield from self._all_refused(rest, error.classes_taken)
            except NetworkError as error:
                if not self._was_associated:
                    raise
                yield from _all_failed(rest, str(error))
            if rest and self._n_breaks >= _MAX_BREAKS:
                words = f"given up: {_MAX_BREAKS} associations in a row broke. Send it again later"
                yield from _all_failed(rest, f"{self._peer}: {words}.")

    def _all_refused(
        self, rest: deque[Outgoing | SendOutcome], classes: Collection[UID]
    ) -> Iterator[SendOutcome]:
        while rest:
            item = rest.popleft()
            if isinstance(item, Outgoing):
                item = _outcome_of(item, "refused", self._not_taken(item, classes))
            yield item

    def _through_one_association(self, rest: deque[Outgoing | SendOutcome]) -> Iterator[SendOutcome]:
        """Takes from `rest` what has an outcome, until it is empty or the association is gone."""
        outgoing = [each for each in rest if isinstance(each, Outgoing)]
        wanted = _unique(each for item in outgoing for each in _contexts_of(item, self._decompress))
        contexts = [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in wanted]
        self._n_breaks += 1
        with associated(self._peer, contexts, self._calling) as association:
            self._was_associated = True
            while rest and not is_broken(association):
                item = rest.popleft()
                outcome = item if isinstance(item, SendOutcome) else self._store(association, item)
                if outcome.code is not None:
                    self._n_breaks = 0
                yield outcome

    def _store(self, association: Association, item: Outgoing) -> SendOutcome:
        made = _outcome_of(item, "failed")
        accepted = {(each.abstract_syntax, each.transfer_syntax[0]) for each in association.accepted_contexts}
        start = time.monotonic()
        try:
            if (item.sop_class_uid, item.transfer_syntax_uid) in accepted:
                payload = item.path if item.dataset is None else item.dataset
            elif _is_plain_possible(item, self._decompress) and any(
                (item.sop_class_uid, each) in accepted for each in PLAIN
            ):
                payload = item.as_plain()
            else:
                reason = self._not_taken(item, classes_taken(association))
                return replace(made, status="refused", reason=reason)
            status = association.send_c_store(payload)
        except DicomError as error:
            return replace(made, reason=str(error))
        except Exception as error:  # half a message may be on its way: only an abort is clean
            association.abort()
            self._n_breaks = 0
            reason = f"it could not be encoded or read ({without_values(error)}). Export it again."
            return replace(made, reason=reason)
        return self._outcome(made, status, time.monotonic() - start)

    def _outcome(self, made: SendOutcome, status: Dataset, elapsed_s: float) -> SendOutcome:
        code = status.get("Status")
        if code is None:
            timeout_s = self._calling.timeout_s
            what = f"no answer within {timeout_s:g} s" if elapsed_s >= timeout_s else "the association broke"
            reason = f"{self._peer}: expected an answer to C-STORE, {what}. Send it again."
            return replace(made, reason=reason, is_retryable=True)
        comment = status.get("ErrorComment")
        words = status_words(code) + (f": {comment}" if comment else "")
        if is_success(code) or code == DUPLICATE_INSTANCE:
            return replace(made, status="sent", code=code, reason=words if code else "")
        reason = f"{self._peer}: expected to store it, the peer answered {words}."
        return replace(made, status="refused", code=code, reason=reason, is_retryable=is_temporary(code))

    def _not_taken(self, item: Outgoing, classes: Collection[UID]) -> str:
        if item.sop_class_uid not in classes:
            return (
                f"{self._peer}: expected it to take {item.sop_class_uid.name}, it does not. "
                "Ask its administrator to accept this SOP class from us."
            )
        return (
            f"{self._peer}: expected it to take {item.sop_class_uid.name} in "
            f"{item.transfer_syntax_uid.name}, it takes the class but not this transfer syntax. "
            "Send it decompressed (--decompress, decompress=True), or have the peer accept it."
        )


def readable(item: Path | str | Dataset) -> Outgoing | SendOutcome:
    """What can be sent; or, where the item is none that can, its outcome."""
    try:
        return Outgoing.of(item)
    except (DicomError, OSError) as error:
        if isinstance(item, Dataset):
            return SendOutcome(first_text(item, "SOPInstanceUID"), "failed", reason=str(error))
        return SendOutcome("", "failed", reason=str(error), path=Path(item))


def _all_failed(rest: deque[Outgoing | SendOutcome], reason: str) -> Iterator[SendOutcome]:
    """The same outcome for all that is left; `rest` is then empty."""
    while rest:
        item = rest.popleft()
        if isinstance(item, Outgoing):
            item = replace(_outcome_of(item, "failed", reason), is_retryable=True)
        yield item


def _outcome_of(item: Outgoing, status: SendStatus, reason: str = "") -> SendOutcome:
    return SendOutcome(
        item.sop_instance_uid, status, None, reason, item.path, sop_class_uid=str(item.sop_class_uid)
    )


def _batches(
    items: Sequence[Outgoing | SendOutcome], decompress: bool
) -> Iterator[list[Outgoing | SendOutcome]]:
    """Runs of items whose presentation contexts fit one association."""
    batch: list[Outgoing | SendOutcome] = []
    contexts: set[_Context] = set()
    for item in items:
        added = set(_contexts_of(item, decompress)) if isinstance(item, Outgoing) else set()
        if len(contexts | added) > MAX_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        batch.append(item)
        contexts |= added
    if batch:
        yield batch


def _contexts_of(item: Outgoing, decompress: bool) -> list[_Context]:
    """Its own transfer syntax alone, then what it can be rewritten as."""
    contexts: list[_Context] = [(item.sop_class_uid, (item.transfer_syntax_uid,))]
    if _is_plain_possible(item, decompress):
        plain = tuple(each for each in PLAIN if each != item.transfer_syntax_uid)
        contexts.append((item.sop_class_uid, plain))
    return contexts


def _is_plain_possible(item: Outgoing, decompress: bool) -> bool:
    syntax = item.transfer_syntax_uid
    return syntax in (*PLAIN, DeflatedExplicitVRLittleEndian) or (decompress and syntax.is_encapsulated)


def _unique(contexts: Iterable[_Context]) -> list[_Context]:
    return list(dict.fromkeys(contexts))
