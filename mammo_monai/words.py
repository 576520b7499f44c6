"""Numbers in words, for messages and pages: counts, bytes, durations."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """A number of bytes for people, to three digits.

    >>> bytes_text(812), bytes_text(1_234_567), bytes_text(58_340_000_000)
    ('812 bytes', '1.23 MB', '58.3 GB')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:#.3g} {unit}".replace(". ", " ")
    return f"{count:.0f} bytes"


def counted(number: int, noun: str) -> str:
    """A number and its noun, for people.

    >>> counted(1, "image"), counted(0, "mass"), counted(2, "box"), counted(3, "asymmetry"), counted(2, "day")
    ('1 image', '0 masses', '2 boxes', '3 asymmetries', '2 days')
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith(('s', 'x', 'ch')) else 's'}"


def duration_text(seconds: float) -> str:
    """A duration for people.

    >>> duration_text(0.4), duration_text(119), duration_text(600), duration_text(9000)
    ('0 s', '119 s', '10 min', '2 h 30 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
