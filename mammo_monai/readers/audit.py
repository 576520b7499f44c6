"""What a reader repaired, skipped or doubts, as rows of audit.csv; no path and no patient stands in them."""

from __future__ import annotations

import csv
import enum
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mammo_monai.errors import DicomError, ManifestError
from mammo_monai.files import write_text_atomic
from mammo_monai.records import ImageRecord

logger = logging.getLogger(__name__)

AUDIT_COLUMNS = ("manifest", "code", "record_id", "found", "action")


class Action(str, enum.Enum):
    """What was done about a finding."""

    REPAIRED = "repaired"
    SKIPPED = "skipped"
    WARNED = "warned"


@dataclass(frozen=True)
class Finding:
    """One row of audit.csv.

    Attributes:
        code: stable and short, for filters: "mask-missing".
        record_id: the image it concerns; "" where it concerns the whole data set.
        found: what was found, in words, without a path.
    """

    code: str
    record_id: str
    found: str
    action: Action


class InvalidRecordError(ManifestError):
    """One image of a data set cannot be used.

    Attributes:
        code: as in `Finding`. found: why, without a path; the message adds `where` and the remedy.
    """

    def __init__(self, code: str, where: str, found: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {found}. {remedy}".rstrip())
        self.code, self.found = code, found


class Audit:
    """Collects findings while a reader runs, and decides what a fault does.

    Args:
        skip_invalid: leave images with faults out (a row each) instead of raising at the end.
    """

    def __init__(self, *, skip_invalid: bool = False) -> None:
        self.skip_invalid = skip_invalid
        self.findings: list[Finding] = []
        self._faults: list[str] = []

    def note(self, code: str, record_id: str, found: str, action: Action = Action.WARNED) -> None:
        """Adds a finding that lets the image stay; the log gets it at WARNING unless it was repaired."""
        self.findings.append(Finding(code, record_id, found, action))
        level = logging.DEBUG if action is Action.REPAIRED else logging.WARNING
        logger.log(level, "%s %s: %s (%s)", code, record_id or "data set", found, action.value)

    def image(self, record_id: str, where: str) -> ImageGuard:
        """A block that reads one image; a fault in it drops the image, never a part of it.

        An image that lost only its bad box would count as normal, so the whole image goes.

        Args:
            record_id: for the row in audit.csv; the block may set a better one on the guard.
            where: file and row, for the message.
        """
        return ImageGuard(self, record_id, where)

    def drop(self, code: str, record_id: str, found: str, message: str) -> None:
        """Adds a fault: the image is left out, or `finish` raises `message`."""
        self._faults.append(message)
        self.findings.append(Finding(code, record_id, found, Action.SKIPPED))
        if self.skip_invalid:
            logger.warning("left out: %s", message)

    def finish(self) -> None:
        """Raises the first fault and the number of the others, unless faults are skipped.

        Raises:
            ManifestError: an image had a fault and `skip_invalid` is not set.
        """
        if not self._faults or self.skip_invalid:
            return
        others = len(self._faults) - 1
        more = f" {others} more {'image has' if others == 1 else 'images have'} a fault." if others else ""
        raise ManifestError(
            f"{self._faults[0]}{more} Mend the data, or leave such images out with --skip-invalid "
            "(audit.csv then lists each)."
        )


class ImageGuard:
    """Context manager that turns the faults of one image into findings; see `Audit.image`."""

    def __init__(self, audit: Audit, record_id: str, where: str) -> None:
        self.record_id = record_id
        self._audit, self._where = audit, where

    def __enter__(self) -> ImageGuard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(error, InvalidRecordError):
            self._audit.drop(error.code, self.record_id, error.found, str(error))
        elif isinstance(error, DicomError):
            found = "the DICOM file is not usable as a mammogram"
            self._audit.drop("dicom-unusable", self.record_id, found, f"{self._where}: {error}")
        return isinstance(error, InvalidRecordError | DicomError)


def drop_repeated_records(records: Sequence[ImageRecord], audit: Audit) -> list[ImageRecord]:
    """The records without those whose record id came before; each repeat is a fault."""
    first: dict[str, ImageRecord] = {}
    for record in records:
        with audit.image(record.record_id, record.source):
            kept = first.setdefault(record.record_id, record)
            if kept is not record:
                found = "the same image (SOPInstanceUID, else file) stands twice in the data set"
                raise InvalidRecordError("image-repeated", record.source, found, f"First: {kept.source}.")
    return [*first.values()]


def write_audit(path: Path, manifest_name: str, findings: Sequence[Finding]) -> None:
    """Writes the rows of one manifest into audit.csv; rows of other manifests in it stay.

    Args:
        path: audit.csv beside the manifest. manifest_name: the manifest's file name.
    """
    rows = [row for row in _read_rows(path) if row["manifest"] != manifest_name]
    rows += [
        dict(zip(AUDIT_COLUMNS, (manifest_name, f.code, f.record_id, f.found, f.action.value), strict=True))
        for f in findings
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, AUDIT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != AUDIT_COLUMNS:
            raise ManifestError(
                f"{path}: expected the columns {', '.join(AUDIT_COLUMNS)}, found "
                f"{', '.join(reader.fieldnames or ['nothing'])}. Move that file away."
            )
        return list(reader)
