"""What a DIMSE status code means, in words a person can act on.

Source: DICOM PS3.7 Annex C; PS3.4 B.2.3 (storage), C.4.1–C.4.3 (query and retrieve).
"""

from __future__ import annotations

PENDING = (0xFF00, 0xFF01)
CANCELLED = 0xFE00
DUPLICATE_INSTANCE = 0x0111

_WORDS: dict[int, str] = {
    0x0000: "success",
    0x0110: "processing failure",
    0x0111: "the instance is there already",
    0x0112: "no such instance",
    0x0115: "invalid argument",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0210: "duplicate message id",
    0x0211: "operation not recognised",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA701: "out of resources: matches cannot be counted",
    0xA702: "out of resources: instances cannot be sent",
    0xA801: "move destination unknown",
    0xB000: "coerced data elements, or some instances were not sent",
    0xB006: "discarded data elements",
    0xB007: "the data set does not match its SOP class",
    0xFE00: "cancelled",
}
_RANGES: tuple[tuple[int, int, str], ...] = (
    (0xA700, 0xA7FF, "out of resources"),
    (0xA900, 0xA9FF, "the data set does not match its SOP class"),
    (0xB000, 0xBFFF, "warning"),
    (0xC000, 0xCFFF, "cannot understand or process"),
)


def status_words(code: int) -> str:
    """The meaning of a status with its code.

    >>> status_words(0xA700), status_words(0x1234)
    ('out of resources (A700)', 'unknown status (1234)')
    """
    return f"{_WORDS.get(code) or _range_words(code)} ({code:04X})"


def is_success(code: int) -> bool:
    """Success, or a warning: the operation was done."""
    return code == 0x0000 or 0xB000 <= code <= 0xBFFF


def is_temporary(code: int) -> bool:
    """Whether the same request may succeed later: the peer was full or busy, not in disagreement.

    >>> is_temporary(0xA700), is_temporary(0xA900)
    (True, False)
    """
    return 0xA700 <= code <= 0xA7FF or code in (0x0110, 0x0213)


def _range_words(code: int) -> str:
    return next((words for low, high, words in _RANGES if low <= code <= high), "unknown status")
