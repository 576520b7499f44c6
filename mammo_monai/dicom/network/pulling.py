"""Fetching instances into a folder: by C-GET, or by C-MOVE to a storage server that runs meanwhile.

First the images are listed, so that those which are there are left out: a pull that was killed goes on where
it was.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset

from mammo_monai.dicom.network.arrivals import Arrivals, PullOutcome, is_uid
from mammo_monai.dicom.network.associations import CALLING_AE_TITLE, TIMEOUT_S, Calling
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.finding import find
from mammo_monai.dicom.network.peers import Listening, Peer
from mammo_monai.dicom.network.queries import Query
from mammo_monai.dicom.network.retrieving import NoServiceError, Wanted, fetch_by_get, fetch_by_move
from mammo_monai.dicom.network.steps import Progress

logger = logging.getLogger(__name__)

Method = Literal["auto", "get", "move"]


def pull(
    peer: Peer,
    query: Query,
    folder: Path,
    *,
    calling_ae_title: str = CALLING_AE_TITLE,
    timeout_s: float = TIMEOUT_S,
    method: Method = "auto",
    listening: Listening | None = None,
    progress: Progress | None = None,
) -> list[PullOutcome]:
    """Fetches all images that a query of any level matches, as `SOP-INSTANCE-UID.dcm`, byte for byte.

    Args:
        timeout_s: for connecting, and for each image.
        method: "auto" tries C-GET, then C-MOVE where the peer does not offer C-GET.
        listening: where C-MOVE is to send to; the peer must know `calling_ae_title` at that address.
        progress: called as images arrive, perhaps in another thread.

    Raises:
        NetworkError: the images cannot be listed, or the peer offers no way to fetch them.
    """
    calling = Calling(calling_ae_title, timeout_s)
    matches = find(peer, query.at("image"), calling_ae_title=calling_ae_title, timeout_s=timeout_s)
    wanted = [wanted_of(peer, each) for each in matches]
    arrivals = Arrivals(folder, [each.sop_instance_uid for each in wanted], progress)
    missing = arrivals.missing()
    rest = [each for each in wanted if each.sop_instance_uid in missing]
    reasons = _fetched(peer, calling, arrivals, rest, method, listening) if rest else {}
    return outcomes_of(wanted, arrivals, missing, reasons)


def wanted_of(peer: object, match: Dataset) -> Wanted:
    """The image that a match names.

    Raises:
        NetworkError: the match lacks a UID that fetching needs, or has one that is none.
    """
    uids = []
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        uid = str(match.get(keyword) or "")
        if not is_uid(uid):
            raise NetworkError(
                f"{peer}: expected a {keyword} of each image, got {uid or 'none'}. Name the study, too."
            )
        uids.append(uid)
    return Wanted(uids[0], uids[1], uids[2], str(match.get("SOPClassUID") or ""))


def outcomes_of(
    wanted: Sequence[Wanted], arrivals: Arrivals, missing: set[str], reasons: Mapping[str, str]
) -> list[PullOutcome]:
    """What the folder says in the end.

    Args:
        missing: what was not there before.
        reasons: why some are not there now; a fault in writing them goes first.
    """

    def outcome_of(uid: str) -> PullOutcome:
        if not arrivals.has(uid):
            return PullOutcome(
                uid, "failed", arrivals.failures.get(uid) or reasons.get(uid, "It was not sent.")
            )
        return PullOutcome(uid, "received" if uid in missing else "present", path=arrivals.path_of(uid))

    return [outcome_of(each.sop_instance_uid) for each in wanted]


def _fetched(
    peer: Peer,
    calling: Calling,
    arrivals: Arrivals,
    wanted: Sequence[Wanted],
    method: Method,
    listening: Listening | None,
) -> dict[str, str]:
    """Why images did not come, by SOP Instance UID."""
    if method != "move":
        try:
            return fetch_by_get(peer, calling, arrivals, wanted)
        except NoServiceError as error:
            if method == "get":
                raise
            if listening is None:
                raise NetworkError(f"{error} {_needs_address(calling)}") from error
            logger.info("%s offers no C-GET: C-MOVE is tried", peer)
    if listening is None:
        raise NetworkError(f"{peer}: {_needs_address(calling)}")
    return fetch_by_move(peer, calling, arrivals, wanted, listening)


def _needs_address(calling: Calling) -> str:
    return (
        f"C-MOVE needs an address of this machine that the peer knows for {calling.ae_title}: have one "
        "registered there and give it here (--listen HOST:PORT)."
    )
