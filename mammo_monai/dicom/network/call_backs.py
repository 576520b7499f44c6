"""A storage server that runs while we wait for a peer to call us back: for C-MOVE, for commitment reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from mammo_monai.dicom.network.commitment_messages import CommitmentReport
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.peers import Listening
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus


def refuse(_: ReceivedInstance) -> StoreStatus:
    """Keeps nothing: for who waits for something else."""
    return StoreStatus.NOT_AUTHORISED


@contextmanager
def listening_at(
    listening: Listening,
    ae_title: str,
    *,
    store: Callable[[ReceivedInstance], StoreStatus] = refuse,
    commitment_reported: Callable[[CommitmentReport], None] | None = None,
) -> Iterator[StorageServer]:
    """A storage server at an address while the block runs.

    Raises:
        NetworkError: the address cannot be listened on.
    """
    server = StorageServer(
        ae_title=ae_title,
        host=listening.host,
        port=listening.port,
        store=store,
        commitment_reported=commitment_reported,
    )
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except OSError as error:
            raise NetworkError(
                f"expected to listen on {listening.host}:{listening.port}, got {error.strerror or error}. "
                "Another program may use the port, or the address is not this machine's."
            ) from error
        yield server
