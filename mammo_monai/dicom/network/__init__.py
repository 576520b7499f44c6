"""DICOM over the network: DIMSE as user and provider, and DICOMweb."""

from mammo_monai.dicom.network.arrivals import PullOutcome
from mammo_monai.dicom.network.commitment import Commitment, request_storage_commitment
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.finding import find
from mammo_monai.dicom.network.peers import Listening, Peer, TlsFiles
from mammo_monai.dicom.network.pulling import pull
from mammo_monai.dicom.network.queries import Query
from mammo_monai.dicom.network.sending import SendOutcome, send
from mammo_monai.dicom.network.verification import echo

__all__ = [
    "Commitment",
    "Listening",
    "NetworkError",
    "Peer",
    "PullOutcome",
    "Query",
    "SendOutcome",
    "TlsFiles",
    "echo",
    "find",
    "pull",
    "request_storage_commitment",
    "send",
]
