"""What a reader repaired, left out or doubts; faults of one image never stop the others."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from types import TracebackType

from mammo_monai.errors import DicomError, ManifestError
from mammo_monai.schema import Action, Finding, Quarantined

logger = logging.getLogger(__name__)

MAX_LOGGED_PER_CODE = 5
"""Further findings of the same code are logged at DEBUG: audit.csv lists all."""


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
        strict: let `finish` raise if any image had a fault, instead of leaving such images out.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.findings: list[Finding] = []
        self.quarantined: list[Quarantined] = []
        self._faults: list[str] = []
        self._logged = 0

    def note(
        self, code: str, record_id: str, found: str, action: Action = Action.WARNED, *, place: str = ""
    ) -> None:
        """Adds a finding that lets the image stay."""
        self.findings.append(Finding(code, record_id, found, action, place))

    def image(self, record_id: str, where: str, *, place: str = "", path: Path | None = None) -> ImageGuard:
        """A block that reads one image; a fault in it quarantines the image, never a part of it.

        An image that lost only its bad box would count as normal, so the whole image goes.

        Args:
            record_id: for the row in audit.csv; the block may set a better one on the guard.
            where: file and row, for the message.
            place: see `Finding`; the block may set it on the guard, row by row.
            path: of the image, for the manifest; the block may set it on the guard once it is known.
        """
        return ImageGuard(self, record_id, where, place, path)

    def quarantine(self, left_out: Quarantined, found: str, message: str) -> None:
        """Adds a fault: the image is left out; `message` names its file and goes to the log or the error."""
        self._faults.append(message)
        self.quarantined.append(left_out)
        finding = Finding(left_out.code, left_out.record_id, found, Action.QUARANTINED, left_out.place)
        self.findings.append(finding)

    def merge(self, other: Audit) -> None:
        """Adds the findings of another audit, for instance of one image read in a thread of its own."""
        self.findings += other.findings
        self.quarantined += other.quarantined
        self._faults += other._faults

    def finish(self) -> None:
        """Logs what was found since it was last called; raises if strict and an image had a fault.

        Of each code a few findings are logged: audit.csv lists all.

        Raises:
            ManifestError: names the first fault and the number of the others.
        """
        if self._faults and self.strict:
            others = len(self._faults) - 1
            more = (
                f" {others} more {'image has' if others == 1 else 'images have'} a fault." if others else ""
            )
            raise ManifestError(
                f"{self._faults[0]}{more} Mend the data, or leave such images out: without --strict."
            )
        self._log()

    def _log(self) -> None:
        messages = iter(self._faults)
        said = [next(messages) if f.action is Action.QUARANTINED else f.found for f in self.findings]
        seen: Counter[str] = Counter()
        for finding, text in [*zip(self.findings, said, strict=True)][self._logged :]:
            seen[finding.code] += 1
            is_loud = finding.action is not Action.REPAIRED and seen[finding.code] <= MAX_LOGGED_PER_CODE
            level = logging.WARNING if is_loud else logging.DEBUG
            what = finding.record_id or "data set"
            logger.log(level, "%s %s: %s (%s)", finding.code, what, text, finding.action.value)
        for code, count in seen.items():
            if count > MAX_LOGGED_PER_CODE:
                logger.info("%s: %d findings in all; audit.csv lists each", code, count)
        self._logged = len(self.findings)


class ImageGuard:
    """Context manager that turns the faults of one image into findings; see `Audit.image`."""

    def __init__(self, audit: Audit, record_id: str, where: str, place: str, path: Path | None) -> None:
        self.record_id, self.path, self.place = record_id, path, place
        self._audit, self._where = audit, where

    def __enter__(self) -> ImageGuard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(error, InvalidRecordError):
            self._quarantine(error.code, error.found, str(error))
        elif isinstance(error, DicomError):
            self._quarantine("dicom-unusable", "the DICOM file is not usable as a mammogram", str(error))
        elif isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
            self._quarantine("file-unreadable", f"a file cannot be read: {reason}", f"{error}")
        return isinstance(error, InvalidRecordError | DicomError | OSError)

    def _quarantine(self, code: str, found: str, message: str) -> None:
        said = message if message.startswith(self._where) else f"{self._where}: {message}"
        self._audit.quarantine(Quarantined(self.record_id, code, self.path, self.place), found, said)
