"""What stands for a UID, a patient or a date once it is gone: the same for the same salt, in every file."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom.uid import UID

_LONGEST_SHIFT_DAYS = 3650


@dataclass(frozen=True)
class Pseudonyms:
    """Names made with a secret: without it nobody can tell whose they are, or make them again.

    Args:
        salt: at least 16 characters; who has it can test a guess.

    Raises:
        ValueError: a shorter salt.
    """

    salt: str

    def __post_init__(self) -> None:
        if len(self.salt) < 16:
            raise ValueError(f"the salt must have at least 16 characters, got {len(self.salt)}.")

    def uid(self, original: str) -> str:
        """The UID that stands for another; those that the standard registers, such as SOP classes, stay.

        Source: DICOM PS3.5 B.2: 2.25 and a UUID as a decimal number.

        >>> names = Pseudonyms("a secret of some length")
        >>> names.uid("1.2.3") == names.uid("1.2.3") != names.uid("1.2.4")
        True
        >>> names.uid("1.2.840.10008.1.2")
        '1.2.840.10008.1.2'
        """
        if not original or UID(original).name != original:
            return original
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', original)[:16], version=5).int}"

    def patient(self, patient_id: str, issuer: str = "") -> str:
        """Stands for Patient ID and Patient's Name: P and 15 hexadecimal digits."""
        return f"P{self._digest('patient', f'{issuer}|{patient_id}').hex()[:15].upper()}"

    def shift_days(self, patient_id: str, issuer: str = "") -> int:
        """How many days back all dates of a patient move, 1 to 3650: the time between them stays."""
        digest = self._digest("dates", f"{issuer}|{patient_id}")
        return int.from_bytes(digest[:8], "big") % _LONGEST_SHIFT_DAYS + 1

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self.salt.encode(), f"{purpose}|{text}".encode(), hashlib.sha256).digest()


def shifted(text: str, days: int) -> str | None:
    """A DICOM date or date-time that many days earlier; None where it is none.

    >>> shifted("20240301", 1), shifted("20240301101500.5+0100", 1), shifted("2024", 1)
    ('20240229', '20240229101500.5+0100', None)
    """
    head, rest = text.strip()[:8], text.strip()[8:]
    try:
        moved = date(int(head[:4]), int(head[4:6]), int(head[6:8])) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}{rest}"
