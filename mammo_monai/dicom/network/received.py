"""An instance as it was sent to a storage server: its bytes, its names, its header."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dsutils import encode_file_meta

from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.reading import damage_refused


@dataclass(frozen=True, eq=False)
class ReceivedInstance:
    """One C-STORE request.

    Attributes:
        sop_class_uid, sop_instance_uid: as the request names them; the data set may say otherwise.
        transfer_syntax_uid: how `data` is encoded.
        header: preamble and File Meta Information that go before `data` in a file.
        data: the encoded data set, byte for byte as sent.
    """

    sop_class_uid: UID
    sop_instance_uid: UID
    transfer_syntax_uid: UID
    calling_ae_title: str
    called_ae_title: str
    header: bytes
    data: bytes

    @staticmethod
    def of_event(event: evt.Event) -> ReceivedInstance:
        """The instance of pynetdicom's C-STORE event."""
        return ReceivedInstance(
            sop_class_uid=UID(event.request.AffectedSOPClassUID),
            sop_instance_uid=UID(event.request.AffectedSOPInstanceUID),
            transfer_syntax_uid=UID(event.context.transfer_syntax),
            calling_ae_title=event.assoc.requestor.ae_title.strip(),
            called_ae_title=event.assoc.requestor.primitive.called_ae_title.strip(),
            header=b"\0" * 128 + b"DICM" + encode_file_meta(event.file_meta),
            data=event.encoded_dataset(include_meta=False),
        )

    @property
    def size(self) -> int:
        """Bytes of the file that `write` makes."""
        return len(self.header) + len(self.data)

    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the data set as encoded, without the header: the sender's own bytes."""
        return hashlib.sha256(self.data).hexdigest()

    def write(self, stream: BinaryIO) -> None:
        """Writes the DICOM file."""
        stream.write(self.header)
        stream.write(self.data)

    def save(self, path: Path) -> None:
        """Writes the DICOM file to a path, which is not flushed to disk."""
        with Path(path).open("wb") as stream:
            self.write(stream)

    def attributes(self) -> Dataset:
        """The data set up to the pixels; one that is cut short holds what came, as pydicom reads files.

        Raises:
            DicomError: it cannot be parsed.
        """
        name = Path("the received instance")
        with damage_refused(
            name, "a whole data set", "It was damaged or cut short on its way: send it again."
        ):
            return read_bounded(BytesIO(self.header + self.data), name=name, headers_only=True)
