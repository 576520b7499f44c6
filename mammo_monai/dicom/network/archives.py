"""One face for both ways to an archive: a DICOM node by DIMSE, or a DICOMweb server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.dicom.network.arrivals import PullOutcome
from mammo_monai.dicom.network.associations import CALLING_AE_TITLE, TIMEOUT_S
from mammo_monai.dicom.network.dicomweb import DicomWeb
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.finding import find
from mammo_monai.dicom.network.peers import Listening, Peer, TlsFiles
from mammo_monai.dicom.network.pulling import Method, pull
from mammo_monai.dicom.network.queries import Query
from mammo_monai.dicom.network.sending import SendOutcome, send
from mammo_monai.dicom.network.steps import Progress
from mammo_monai.dicom.network.verification import echo


@dataclass(frozen=True)
class DimseArchive:
    """A DICOM node, and how it is called; `method` and `listening` are those of `pull`."""

    peer: Peer
    calling_ae_title: str = CALLING_AE_TITLE
    timeout_s: float = TIMEOUT_S
    method: Method = "auto"
    listening: Listening | None = None
    decompress: bool = False

    def __str__(self) -> str:
        return str(self.peer)

    def echo(self) -> float:
        """Seconds that an answer takes; see `verification.echo`."""
        return echo(self.peer, calling_ae_title=self.calling_ae_title, timeout_s=self.timeout_s)

    def search(self, query: Query, *, limit: int | None = None) -> list[Dataset]:
        """Matches of a query; see `finding.find`."""
        return find(
            self.peer,
            query,
            calling_ae_title=self.calling_ae_title,
            timeout_s=self.timeout_s,
            limit=limit,
        )

    def retrieve(self, query: Query, folder: Path, *, progress: Progress | None = None) -> list[PullOutcome]:
        """Fetches the images of a query; see `pulling.pull`."""
        return pull(
            self.peer,
            query,
            folder,
            calling_ae_title=self.calling_ae_title,
            timeout_s=self.timeout_s,
            method=self.method,
            listening=self.listening,
            progress=progress,
        )

    def store(
        self,
        items: Sequence[Path | str | Dataset],
        *,
        progress: Progress | None = None,
    ) -> list[SendOutcome]:
        """Sends files and data sets; see `sending.send`."""
        return send(
            self.peer,
            items,
            calling_ae_title=self.calling_ae_title,
            timeout_s=self.timeout_s,
            decompress=self.decompress,
            progress=progress,
        )


Archive = DimseArchive | DicomWeb


def archive_of(
    text: str,
    *,
    calling_ae_title: str = CALLING_AE_TITLE,
    tls: TlsFiles | None = None,
    timeout_s: float = TIMEOUT_S,
    method: Method = "auto",
    listening: Listening | None = None,
    decompress: bool = False,
) -> Archive:
    """An archive from `AETITLE@host:port`, or from the URL of DICOMweb services.

    Raises:
        NetworkError: the text is neither; or an option that DICOMweb does not have.
    """
    if not text.lower().startswith(("http://", "https://")):
        peer = Peer.parse(text, tls)
        return DimseArchive(peer, calling_ae_title, timeout_s, method, listening, decompress)
    if method != "auto" or listening is not None or decompress:
        raise NetworkError(
            f"{text}: expected a DICOM node as AETITLE@host:port for --method, --listen, --commit and "
            "--decompress, got a URL. Leave them out, or name the node."
        )
    return DicomWeb(text, tls=tls, timeout_s=timeout_s)
