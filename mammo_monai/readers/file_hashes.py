"""Size and SHA-256 of image files, so that a manifest knows later whether a file is still the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mammo_monai.files import sha256_of
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.reading import Reading
from mammo_monai.records import ImageRecord


def with_file_hashes(
    records: Sequence[ImageRecord], reading: Reading, *, is_size_only: bool = False
) -> list[ImageRecord]:
    """The records with `file_size` and `sha256` of their image files as they are now.

    Hashing reads every byte, in blocks of a megabyte, in `reading.workers` threads side by side; on most
    machines the disk sets the pace. A file that is gone, or cannot be read, quarantines its record.

    Args:
        reading: its audit gets the faults, its progress the count.
        is_size_only: leave `sha256` as it was: no file is opened.
    """

    def hashed(record: ImageRecord, audit: Audit) -> ImageRecord | None:
        with audit.image(record.record_id, record.source or str(record.image), path=record.image):
            return _with_hash(record, is_size_only=is_size_only)
        return None

    return reading.images(hashed, records)


def _with_hash(record: ImageRecord, *, is_size_only: bool) -> ImageRecord:
    try:
        size = record.image.stat().st_size
        sha256 = record.sha256 if is_size_only else sha256_of(record.image)
    except FileNotFoundError:
        found, remedy = "the image file is gone", "Bring it back, or make the manifest without it."
        raise InvalidRecordError("file-missing", str(record.image), found, remedy) from None
    return replace(record, file_size=size, sha256=sha256)
