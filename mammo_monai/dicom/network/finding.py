"""C-FIND as SCU, in the Study Root model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydicom.dataset import Dataset
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from mammo_monai.dicom.network.associations import CALLING_AE_TITLE, TIMEOUT_S, Calling, associated
from mammo_monai.dicom.network.descent import matches
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.peers import Peer
from mammo_monai.dicom.network.queries import LEVELS, UNIQUE_KEYS, Level, Query, identifier_of
from mammo_monai.dicom.network.statuses import CANCELLED, PENDING, is_success, status_words

# They hold patient data.
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
_FIND = StudyRootQueryRetrieveInformationModelFind
_MESSAGE_ID = 1


def find(
    peer: Peer,
    query: Query,
    *,
    calling_ae_title: str = CALLING_AE_TITLE,
    timeout_s: float = TIMEOUT_S,
    limit: int | None = None,
) -> list[Dataset]:
    """Matches of a query, each with what was found of it at the levels above.

    A study is looked for first where a series or image is asked for by its patient: archives match a key at
    its own level only.

    Args:
        limit: cancels the query when so many matches have come.

    Raises:
        NetworkError: no association, no answer, or the peer refuses the query.
    """
    calling = Calling(calling_ae_title, timeout_s)
    with associated(peer, [build_context(_FIND)], calling) as association:
        return list(matches(query, _Search(association, peer).answers, limit=limit))


class _Search:
    """Requests over one association."""

    def __init__(self, association: Association, peer: Peer) -> None:
        self._association, self._peer = association, peer

    def answers(self, level: Level, keys: Mapping[str, str], limit: int | None) -> Iterator[Dataset]:
        """The answers to one request, at most `limit`; the rest is cancelled."""
        n_answers = 0
        for status, match in self._association.send_c_find(identifier_of(level, keys), _FIND, _MESSAGE_ID):
            code = status.get("Status")
            if code in PENDING and match is not None:
                n_answers += 1
                if limit is None or n_answers <= limit:
                    yield self._parsed(match)
                if n_answers == limit:
                    self._association.send_c_cancel(_MESSAGE_ID, query_model=_FIND)
            elif code in PENDING:
                raise NetworkError(f"{self._peer}: expected a match, got one that cannot be parsed.")
            elif code is None:
                raise NetworkError(
                    f"{self._peer}: expected an answer to C-FIND, none came in time or the association "
                    "broke. Ask for less (more keys, --limit), or wait longer (--timeout)."
                )
            elif not (is_success(code) or (code == CANCELLED and limit is not None)):
                raise NetworkError(self._refusal(level, status))

    def _parsed(self, match: Dataset) -> Dataset:
        try:
            match.decode()
        except Exception as error:  # whatever pydicom raises on damage; its message may hold the value
            raise NetworkError(
                f"{self._peer}: expected a match, got one that cannot be parsed ({type(error).__name__})."
            ) from error
        return match

    def _refusal(self, level: Level, status: Dataset) -> str:
        comment = f": {status.ErrorComment}" if status.get("ErrorComment") else ""
        above = [UNIQUE_KEYS[each] for each in LEVELS[: LEVELS.index(level)]]
        hint = (
            f"; it may need {' and '.join(above)}, or a key of the study such as PatientID" if above else ""
        )
        return (
            f"{self._peer}: expected matches at level {level}, the peer answered "
            f"{status_words(status.Status)}{comment}{hint}."
        )
