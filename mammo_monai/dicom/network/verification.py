"""C-ECHO: whether a peer answers us."""

from __future__ import annotations

import time

from pynetdicom import build_context
from pynetdicom.sop_class import Verification

from mammo_monai.dicom.network.associations import CALLING_AE_TITLE, TIMEOUT_S, Calling, associated
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.peers import Peer
from mammo_monai.dicom.network.statuses import is_success, status_words


def echo(peer: Peer, *, calling_ae_title: str = CALLING_AE_TITLE, timeout_s: float = TIMEOUT_S) -> float:
    """Seconds from connecting to the answer to a C-ECHO.

    Raises:
        NetworkError: no association, no answer, or another answer than success.
    """
    start = time.perf_counter()
    calling = Calling(calling_ae_title, timeout_s)
    with associated(peer, [build_context(Verification)], calling) as association:
        status = association.send_c_echo().get("Status")
    if status is None:
        raise NetworkError(f"{peer}: expected an answer to C-ECHO within {timeout_s:g} s, none came.")
    if not is_success(status):
        raise NetworkError(f"{peer}: expected success of C-ECHO, got {status_words(status)}.")
    return time.perf_counter() - start
