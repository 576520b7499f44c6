"""C-GET and C-MOVE as SCU: images are asked for by UID, again over a new association when one breaks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from mammo_monai.dicom.network.arrivals import Arrivals
from mammo_monai.dicom.network.associations import (
    Calling,
    NoContextAcceptedError,
    associated,
    is_broken,
)
from mammo_monai.dicom.network.call_backs import listening_at
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.greeting import MAX_CONTEXTS
from mammo_monai.dicom.network.peers import Listening, Peer
from mammo_monai.dicom.network.queries import identifier_of
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.statuses import PENDING, status_words
from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES

_GET, _MOVE = StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove
_PER_REQUEST = 50  # UIDs
_CLASSES_PER_ASSOCIATION = (MAX_CONTEXTS - 1) // len(STORED_SYNTAXES)
_MAX_BREAKS = 3  # in a row, without an image between them
_NOT_OFFERED = (0x0122, 0x0211)  # SOP class not supported, operation not recognised
_UNKNOWN_DESTINATION = 0xA801
# What archives of mammograms hold; for images whose class they do not tell when they list them.
USUAL_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray Image, for presentation
    "1.2.840.10008.5.1.4.1.1.1.2.1",  # the same, for processing
    "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis Image
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray Image, for presentation
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography Image
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
)


class NoServiceError(NetworkError):
    """The peer does not offer this way of fetching."""


@dataclass(frozen=True)
class Wanted:
    """An image of an archive; `sop_class_uid` is "" where the archive does not tell it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str = ""


@dataclass(frozen=True)
class _Way:
    """How images are asked for: what is negotiated, and the request itself."""

    name: str
    model: UID
    ask: Callable[[Association, Dataset], Iterator[tuple[Dataset, Dataset | None]]]
    contexts: Sequence[PresentationContext] = ()
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = ()
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = field(default=())


def fetch_by_get(
    peer: Peer, calling: Calling, arrivals: Arrivals, wanted: Sequence[Wanted]
) -> dict[str, str]:
    """Fetches images over the association that asks; why some did not come, by SOP Instance UID.

    Each class is offered in every transfer syntax by a context of its own, so that the peer can send what it
    has without converting it.

    Raises:
        NoServiceError: the peer does not offer C-GET.
        NetworkError: there is no association.
    """

    def on_store(event: evt.Event) -> int:
        return int(arrivals.store(ReceivedInstance.of_event(event)))

    reasons: dict[str, str] = {}
    for classes, some in _by_classes(wanted):
        way = _Way(
            name="C-GET",
            model=_GET,
            ask=lambda association, identifier: association.send_c_get(identifier, _GET),
            contexts=[build_context(each, [syntax]) for each in classes for syntax in STORED_SYNTAXES],
            roles=[build_role(UID(each), scp_role=True) for each in classes],
            handlers=[(evt.EVT_C_STORE, on_store)],
        )
        reasons |= _Fetching(peer, calling, arrivals, way).run(some)
    return reasons


def fetch_by_move(
    peer: Peer, calling: Calling, arrivals: Arrivals, wanted: Sequence[Wanted], listening: Listening
) -> dict[str, str]:
    """Has images sent to a storage server at `listening`; why some did not come, by SOP Instance UID.

    Raises:
        NoServiceError: the peer does not offer C-MOVE.
        NetworkError: there is no association, or the address cannot be listened on.
    """
    way = _Way(
        name="C-MOVE",
        model=_MOVE,
        ask=lambda association, identifier: association.send_c_move(identifier, calling.ae_title, _MOVE),
    )
    # Many peers say nothing until the last image of a request is sent.
    patient = replace(calling, timeout_s=calling.timeout_s * min(len(wanted), _PER_REQUEST))
    with listening_at(listening, calling.ae_title, store=arrivals.store):
        return _Fetching(peer, patient, arrivals, way).run(wanted)


class _Fetching:
    """One fetching; a request whose association broke is repeated for what has not come."""

    def __init__(self, peer: Peer, calling: Calling, arrivals: Arrivals, way: _Way) -> None:
        self._peer, self._calling, self._arrivals, self._way = peer, calling, arrivals, way
        self._was_associated = False
        self._reasons: dict[str, str] = {}

    def run(self, wanted: Sequence[Wanted]) -> dict[str, str]:
        """Why images did not come, by SOP Instance UID."""
        rest = deque(_requests(wanted))
        n_breaks = 0
        while rest:
            before = (len(rest), len(self._arrivals.missing()))
            try:
                self._through_one_association(rest)
                reason = (
                    f"{self._peer}: expected the image, the association broke or no answer came within "
                    f"{self._calling.timeout_s:g} s. Pull again: what is there is kept."
                )
            except NoServiceError:
                raise
            except NetworkError as error:
                if not self._was_associated:
                    raise
                n_breaks, reason = _MAX_BREAKS, str(error)
            is_stuck = (len(rest), len(self._arrivals.missing())) == before
            n_breaks = n_breaks + 1 if is_stuck else 0
            if n_breaks >= _MAX_BREAKS:
                self._reasons |= {each.sop_instance_uid: reason for some in rest for each in some}
                break
        missing = self._arrivals.missing()
        return {uid: reason for uid, reason in self._reasons.items() if uid in missing}

    def _through_one_association(self, rest: deque[list[Wanted]]) -> None:
        """Takes from `rest` what was answered, until it is empty or the association is gone."""
        way = self._way
        contexts = [build_context(way.model), *way.contexts]
        try:
            opened = associated(self._peer, contexts, self._calling, roles=way.roles, handlers=way.handlers)
            with opened as association:
                if not any(each.abstract_syntax == way.model for each in association.accepted_contexts):
                    raise self._not_offered()
                self._was_associated = True
                while rest and not is_broken(association):
                    if not self._is_answered(association, rest[0]):
                        return
                    rest.popleft()
        except NoContextAcceptedError as error:
            raise self._not_offered() from error

    def _is_answered(self, association: Association, request: list[Wanted]) -> bool:
        """Asks for what is missing of a request; False where the association broke."""
        missing = self._arrivals.missing()
        uids = [each.sop_instance_uid for each in request if each.sop_instance_uid in missing]
        if not uids:
            return True
        keys = {
            "StudyInstanceUID": request[0].study_instance_uid,
            "SeriesInstanceUID": request[0].series_instance_uid,
            "SOPInstanceUID": "\\".join(uids),
        }
        answer = Dataset()
        for answer, _ in self._way.ask(association, identifier_of("image", keys)):  # noqa: B007  # the last one counts
            pass
        code = answer.get("Status")
        if code is None or code in PENDING:
            return False
        if code in _NOT_OFFERED:
            raise self._not_offered()
        self._reasons |= dict.fromkeys(uids, self._reason(answer))
        return True

    def _reason(self, answer: Dataset) -> str:
        words = status_words(answer.Status)
        comment = f": {answer.ErrorComment}" if answer.get("ErrorComment") else ""
        remedy = (
            f" Have {self._calling.ae_title} registered there with this machine's address."
            if answer.Status == _UNKNOWN_DESTINATION
            else ""
        )
        return f"{self._peer}: expected the image, the peer answered {words}{comment}.{remedy}"

    def _not_offered(self) -> NoServiceError:
        return NoServiceError(f"{self._peer}: expected it to offer {self._way.name} to us, it does not.")


def _requests(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Images of one series, not too many at once: a request names one study and one series."""
    series: dict[tuple[str, str], list[Wanted]] = {}
    for each in wanted:
        series.setdefault((each.study_instance_uid, each.series_instance_uid), []).append(each)
    for images in series.values():
        for start in range(0, len(images), _PER_REQUEST):
            yield images[start : start + _PER_REQUEST]


def _by_classes(wanted: Sequence[Wanted]) -> Iterator[tuple[Sequence[str], list[Wanted]]]:
    """Images with the SOP classes to offer, as many as one association has contexts for."""
    untold = [each for each in wanted if not each.sop_class_uid]
    if untold:
        yield USUAL_CLASSES, untold
    classes = sorted({each.sop_class_uid for each in wanted if each.sop_class_uid})
    for start in range(0, len(classes), _CLASSES_PER_ASSOCIATION):
        some = classes[start : start + _CLASSES_PER_ASSOCIATION]
        yield some, [each for each in wanted if each.sop_class_uid in some]
