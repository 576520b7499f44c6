"""The same through DICOMweb: search (QIDO-RS), retrieve (WADO-RS), store (STOW-RS)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, validate_file_meta

from mammo_monai.dicom.network.arrivals import Arrivals, PullOutcome
from mammo_monai.dicom.network.descent import matches
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.outgoing import Outgoing
from mammo_monai.dicom.network.peers import TlsFiles
from mammo_monai.dicom.network.pulling import outcomes_of, wanted_of
from mammo_monai.dicom.network.queries import LEVELS, UNIQUE_KEYS, Level, Query
from mammo_monai.dicom.network.retrieving import Wanted
from mammo_monai.dicom.network.sending import SendOutcome, SendStatus, readable
from mammo_monai.dicom.network.statuses import is_temporary, status_words
from mammo_monai.dicom.network.steps import Progress, Steps
from mammo_monai.dicom.network.web_requests import Credentials, Requests, WebError, web_session
from mammo_monai.dicom.reading import first_text
from mammo_monai.errors import DicomError

# As it is stored. Never a list of syntaxes: the Orthanc of Debian 12 dies of a request for JPEG-LS.
_AS_STORED = (("application/dicom", "*"),)
_MAX_FAILURES = 3  # in a row without an answer: the server is gone
_GIVEN_UP = "given up, the server is gone. Repeat it later: what is done is kept."


class DicomWeb:
    """A DICOMweb server.

    Args:
        url: of its DICOMweb services, such as `https://pacs.example.org/dicom-web`.
        credentials: None takes those of the environment, see `Credentials.of_environment`.
        tls: our certificate, and the authority of the server's.
        timeout_s: for connecting, and for silence in an answer.
        attempts: of one request, where the server is busy or the connection breaks.
        back_off_s: before the second attempt; doubled before each other one.

    Raises:
        NetworkError: the URL is none, or carries a password.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        tls: TlsFiles | None = None,
        timeout_s: float = 30.0,
        attempts: int = 4,
        back_off_s: float = 0.5,
    ) -> None:
        self.url = url.rstrip("/")
        session = web_session(self.url, credentials or Credentials.of_environment(), tls)
        self._client = DICOMwebClient(self.url, session=session, timeout=timeout_s, permissive_uid=True)
        self._client.set_http_retry_params(retry=False)  # it would send an empty body the second time
        self._requests = Requests(self.url, attempts, back_off_s)

    def __str__(self) -> str:
        return self.url

    def echo(self) -> float:
        """Seconds that a search for one study takes.

        Raises:
            NetworkError: no server, or it refuses.
        """
        start = time.perf_counter()
        self._requests.made("a search", lambda: self._client.search_for_studies(limit=1))
        return time.perf_counter() - start

    def search(self, query: Query, *, limit: int | None = None) -> list[Dataset]:
        """Matches of a query, each with what was found of it at the levels above.

        Raises:
            NetworkError: no server, it refuses, or answers what is no DICOM JSON.
        """
        return list(matches(query, self._answers, limit=limit))

    def retrieve(self, query: Query, folder: Path, *, progress: Progress | None = None) -> list[PullOutcome]:
        """Fetches all images that a query of any level matches, as `SOP-INSTANCE-UID.dcm`.

        What is in the folder already is not fetched again.

        Raises:
            NetworkError: the images cannot be listed.
        """
        wanted = [wanted_of(self, each) for each in self.search(query.at("image"))]
        arrivals = Arrivals(folder, [each.sop_instance_uid for each in wanted], progress)
        missing = arrivals.missing()
        reasons: dict[str, str] = {}
        n_failures = 0
        for each in wanted:
            uid = each.sop_instance_uid
            if uid in missing and n_failures < _MAX_FAILURES:
                try:
                    arrivals.keep(uid, self._fetched(each))
                    n_failures = 0
                except WebError as error:
                    reasons[uid] = str(error)
                    n_failures = n_failures + 1 if error.status is None else 0
            elif uid in missing:
                reasons[uid] = f"{self}: {_GIVEN_UP}"
        return outcomes_of(wanted, arrivals, missing, reasons)

    def store(
        self,
        items: Sequence[Path | str | Dataset],
        *,
        progress: Progress | None = None,
    ) -> list[SendOutcome]:
        """Sends files and data sets, a request for each; one outcome for each, in their order."""
        steps = Steps("sent", len(items), progress)
        outcomes = []
        n_failures = 0
        for item in items:
            ready = readable(item)
            if isinstance(ready, Outgoing):
                is_gone = n_failures >= _MAX_FAILURES
                outcome = self._given_up(ready) if is_gone else self._store(ready)
                n_failures = n_failures + 1 if outcome.is_retryable and outcome.code is None else 0
            else:
                outcome = ready
            outcomes.append(outcome)
            steps.step()
        return outcomes

    def _given_up(self, item: Outgoing) -> SendOutcome:
        return _outcome(item, "failed", reason=f"{self}: {_GIVEN_UP}", is_retryable=True)

    def _answers(self, level: Level, keys: Mapping[str, str], limit: int | None) -> Iterator[Dataset]:
        """The answers to one search, page by page: servers return as many at once as they like."""
        seen: set[str] = set()
        while limit is None or len(seen) < limit:
            page = self._page(level, keys, len(seen), None if limit is None else limit - len(seen))
            # A server that knows no offset answers the same again.
            fresh = [each for each in page if first_text(each, UNIQUE_KEYS[level]) not in seen]
            seen |= {first_text(each, UNIQUE_KEYS[level]) for each in fresh}
            yield from fresh
            if not fresh:
                return

    def _page(self, level: Level, keys: Mapping[str, str], offset: int, limit: int | None) -> list[Dataset]:
        above = [UNIQUE_KEYS[each] for each in LEVELS[: LEVELS.index(level)]]
        path = list(takewhile(bool, (keys[each] for each in above)))
        left = {name: value for name, value in keys.items() if name not in above[: len(path)]}
        search = {
            "study": self._client.search_for_studies,
            "series": self._client.search_for_series,
            "image": self._client.search_for_instances,
        }[level]
        found = self._requests.made(
            "a search",
            lambda: search(
                *path,
                offset=offset or None,
                limit=limit,
                fields=[name for name, value in left.items() if not value],
                search_filters={name: value for name, value in left.items() if value},
            ),
        )
        try:
            return [Dataset.from_json(each) for each in found]
        except Exception as error:  # whatever pydicom raises on it; the message may hold the value
            raise NetworkError(
                f"{self}: expected matches as DICOM JSON, got others ({type(error).__name__}). "
                "Is this the URL of DICOMweb services?"
            ) from error

    def _fetched(self, image: Wanted) -> Callable[[Path], None]:
        """Fetches an image; the answer writes it."""
        uids = (image.study_instance_uid, image.series_instance_uid, image.sop_instance_uid)
        instance = self._requests.made(
            "an image", lambda: self._client.retrieve_instance(*uids, media_types=_AS_STORED)
        )
        if first_text(instance, "SOPInstanceUID") != image.sop_instance_uid:
            raise WebError(f"{self}: expected the image that was asked for, got another one.", status=200)
        return lambda path: instance.save_as(path, enforce_file_format=True)

    def _store(self, item: Outgoing) -> SendOutcome:
        uid = item.sop_instance_uid
        try:
            dataset = as_file(item)
        except DicomError as error:
            return _outcome(item, "failed", reason=str(error))
        try:
            answer = self._requests.made("an instance", lambda: self._client.store_instances([dataset]))
        except WebError as error:
            reason = _failure_reason(error.content, uid)
            if reason is not None:
                return _refused(self.url, item, reason)
            is_refused = error.status is not None and error.status < 500
            status: SendStatus = "refused" if is_refused else "failed"
            return _outcome(item, status, code=error.status, reason=str(error), is_retryable=not is_refused)
        reason = _failure_reason(answer, uid)
        if reason is not None:
            return _refused(self.url, item, reason)
        return _outcome(item, "sent", reason=_warning(answer, uid))


def as_file(item: Outgoing) -> Dataset:
    """The data set with all that a DICOM file has before it.

    Raises:
        DicomError: the file cannot be read any more.
    """
    dataset = item.loaded()
    dataset.preamble = b"\0" * 128
    dataset.file_meta.MediaStorageSOPClassUID = item.sop_class_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = item.sop_instance_uid
    validate_file_meta(dataset.file_meta, enforce_standard=True)
    return dataset


def _outcome(item: Outgoing, status: SendStatus, **more: Any) -> SendOutcome:
    return SendOutcome(
        item.sop_instance_uid, status, path=item.path, sop_class_uid=str(item.sop_class_uid), **more
    )


def _refused(url: str, item: Outgoing, code: int) -> SendOutcome:
    reason = f"{url}: expected to store it, the server answered {status_words(code)}."
    return _outcome(item, "refused", code=code, reason=reason, is_retryable=is_temporary(code))


def _failure_reason(answer: Dataset | None, sop_instance_uid: str) -> int | None:
    """Failure Reason (0008,1197) of an instance; None where the answer tells of no failure."""
    for each in (answer or Dataset()).get("FailedSOPSequence") or ():
        if first_text(each, "ReferencedSOPInstanceUID") in ("", sop_instance_uid):
            return int(first_text(each, "FailureReason") or 0x0110)
    return None


def _warning(answer: Dataset, sop_instance_uid: str) -> str:
    """Warning Reason (0008,1196) in words, or ""."""
    for each in answer.get("ReferencedSOPSequence") or ():
        code = first_text(each, "WarningReason")
        if code and first_text(each, "ReferencedSOPInstanceUID") == sop_instance_uid:
            return status_words(int(code))
    return ""
